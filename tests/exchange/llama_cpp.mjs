// What llama.cpp says about a GGUF file: reads {"model", "rows", "prompt"} as JSON from stdin, writes JSON to stdout.
//   logits[row][position] = the logits after each token of each row, teacher-forced; tokens = the encoding of `prompt`.
// Weights, keys and values in float32; at most two threads. Run with node in a folder where node-llama-cpp is installed.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import {readFileSync} from "node:fs";
import {availableParallelism} from "node:os";
import path from "node:path";

const resolve = createRequire(path.join(process.cwd(), "package.json")).resolve;
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(resolve("node-llama-cpp")).href);
const {model: modelPath, rows, prompt} = JSON.parse(readFileSync(0, "utf8"));

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const context = await model.createContext({
    contextSize: Math.max(...rows.map((row) => row.length)) + 8,
    threads: Math.min(2, availableParallelism()),
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32"
});
const sequence = context.getSequence();
const logits = [];
for (const row of rows) {
    await sequence.clearHistory();
    const input = row.map((token) => [token, {generateNext: {logits: true, options: {temperature: 0}}}]);
    const output = await sequence.controlledEvaluate(input);
    logits.push(output.map(({next}) => {
        const values = [];
        for (const [token, logit] of next.logits) values[token] = logit;
        return values;
    }));
}
const out = {logits, tokens: [...model.tokenize(prompt)], bos: model.tokens.bos, addsBos: model.tokens.shouldPrependBosToken};
process.stdout.write(JSON.stringify(out), () => process.exit(0));
