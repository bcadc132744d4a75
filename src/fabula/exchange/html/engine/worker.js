// One model in a thread of its own, so that the page stays smooth. Messages: {load}, {number, request}, {stop: number}.

let teller = null;
let current = 0; // the number of the request that is being told; 0: none

// Lets a waiting message in, which may end what goes on. setTimeout would cost 4 ms a token.
const { port1, port2 } = new MessageChannel();
async function pause(number) {
  await new Promise((resolve) => {
    port1.addEventListener("message", resolve, { once: true });
    port2.postMessage(null);
  });
  if (number !== current) throw new Error("stopped");
}
port1.start();

async function load({ kernels, model, weights, tokenizer }) {
  const { instance } = await WebAssembly.instantiate(await wholeOf(kernels));
  const decoder = await Decoder.load(instance.exports, model, unzipped(weights));
  teller = new Storyteller(decoder, new Tokenizer(await wholeOf(tokenizer)), model);
}

async function tell(number, request) {
  current = number;
  try {
    for await (const event of teller.tell(request, () => pause(number))) postMessage({ number, event });
  } catch (error) {
    if (number === current) postMessage({ number, error: error.message });
  }
}

onmessage = async ({ data }) => {
  if (data.stop) current = data.stop === current ? 0 : current;
  else if (data.request) await tell(data.number, data.request);
  else {
    try {
      await load(data.load);
      postMessage({ ready: true });
    } catch (error) {
      postMessage({ ready: false, error: error.message });
    }
  }
};
