// llama.cpp's side of decoding.py: float32 cache, greedy, rows as sequences of one context.
// Reads lines of JSON from stdin: first {model, prompt, numTokens, threads, rows}, then {rows} for each turn.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import readline from "node:readline";
import path from "node:path";

const resolve = createRequire(path.join(process.cwd(), "package.json")).resolve;
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(resolve("node-llama-cpp")).href);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
let setting, sequences;

async function complete(sequence) {
    await sequence.clearHistory();
    const tokens = [];
    for await (const token of sequence.evaluate(setting.prompt, {temperature: 0, yieldEogToken: true})) {
        tokens.push(token);
        if (tokens.length >= setting.numTokens) break;
    }
    return tokens;
}

for await (const line of readline.createInterface({input: process.stdin})) {
    const question = JSON.parse(line);
    if (setting === undefined) {
        setting = question;
        const llama = await getLlama({
            build: "never", gpu: false, maxThreads: setting.threads, logLevel: LlamaLogLevel.error
        });
        const model = await llama.loadModel({modelPath: setting.model, gpuLayers: 0});
        const context = await model.createContext({
            contextSize: setting.prompt.length + setting.numTokens,
            sequences: setting.rows,
            batchSize: 512,
            threads: setting.threads,
            experimentalKvCacheKeyType: "F32",
            experimentalKvCacheValueType: "F32"
        });
        sequences = Array.from({length: setting.rows}, () => context.getSequence());
        say({ready: true});
    } else {
        const started = performance.now();
        const rows = await Promise.all(sequences.slice(0, question.rows).map(complete));
        say({seconds: (performance.now() - started) / 1000, tokens: rows[0]});
    }
}
process.exit(0);
