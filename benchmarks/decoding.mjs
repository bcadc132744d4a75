// llama.cpp's side of decoding.py: float32 cache, greedy, rows as sequences of one context, all with the same prompt.
// Reads lines of JSON from stdin: first {model, prompt, numTokens, threads, rows}, then {rows} for each turn.
//
// node-llama-cpp's own loop gives each row a chain of promises, which at 16 rows takes longer than llama.cpp itself. So
// its bindings are called directly: one batch of all rows a step, and since equal prompts have equal greedy texts, the
// first row chooses for all.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import readline from "node:readline";
import path from "node:path";

const resolve = createRequire(path.join(process.cwd(), "package.json")).resolve;
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(resolve("node-llama-cpp")).href);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
let setting, context, sampler;

async function complete(rows) {
    const tokens = [], first = new Uint32Array([0]);
    let time = 0, next = new Uint32Array(setting.prompt);
    for (let row = 0; row < setting.rows; row++) context.disposeSequence(row);
    while (true) {
        const last = new Uint32Array([next.length - 1]);
        context.initBatch(rows * next.length);
        let place;
        for (let row = 0; row < rows; row++) {
            const [index] = context.addToBatch(row, time, next, last);
            place ??= index;
        }
        await context.decodeBatch();
        tokens.push(await context.sampleToken(place, sampler));
        if (tokens.length >= setting.numTokens) return tokens;
        time += next.length;
        next = new Uint32Array([tokens.at(-1)]);
    }
}

for await (const line of readline.createInterface({input: process.stdin})) {
    const question = JSON.parse(line);
    if (setting === undefined) {
        setting = question;
        const llama = await getLlama({
            build: "never", gpu: false, maxThreads: setting.threads, logLevel: LlamaLogLevel.error
        });
        const model = await llama.loadModel({modelPath: setting.model, gpuLayers: 0});
        const whole = await model.createContext({
            contextSize: setting.prompt.length + setting.numTokens,
            sequences: setting.rows,
            batchSize: 512,
            threads: setting.threads,
            experimentalKvCacheKeyType: "F32",
            experimentalKvCacheValueType: "F32"
        });
        context = whole._ctx;
        context.setThreads(setting.threads);
        sampler = new llama._bindings.AddonSampler(model._model);
        sampler.applyConfig({temperature: 0});
        say({ready: true});
    } else {
        const started = performance.now();
        const tokens = await complete(question.rows);
        say({seconds: (performance.now() - started) / 1000, tokens});
    }
}
process.exit(0);
