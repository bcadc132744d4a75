// The engine of a page that holds its models itself. What it offers, the page of `play` asks for.

const REFUSED = "this browser cannot run a model from a file; use a newer one (Chrome 91, Firefox 113, Safari 16.4)";

async function createEngine(progress) {
  if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") throw new Error(REFUSED);
  progress("unpacking …");
  const read = (bytes) => new TextDecoder().decode(bytes);
  const index = JSON.parse(read(await wholeOf(taken("index"))));
  const program = URL.createObjectURL(new Blob([await wholeOf(taken("worker"))], { type: "text/javascript" }));
  const kernels = taken("kernels");
  const tokenizers = Array.from({ length: index.num_tokenizers }, (_, place) => taken(`tokenizer-${place}`));
  progress(index.models.length > 1 ? "loading the models …" : "loading the model …");
  const workers = await Promise.all(
    index.models.map(({ model, tokenizer }, place) =>
      started(program, { kernels, model, weights: taken(`model-${place}`), tokenizer: tokenizers[tokenizer] }),
    ),
  );
  URL.revokeObjectURL(program);
  return {
    features: { checkpoints: false, copied: false, api: false },
    place: "in this file",
    models: index.models.map(({ shown }, place) => ({ id: `${place}`, ...shown })),
    prompts: index.prompts,
    generate: (request, signal) => events(workers[Number(request.model)], request, signal),
  };
}

// The bytes of an element, which leaves the page with its text: a model is not to be there twice.
function taken(name) {
  const element = document.getElementById(`packed-${name}`);
  if (!element) throw new Error(DAMAGED);
  const bytes = bytesOf(element.textContent);
  element.remove();
  return bytes;
}

async function started(program, load) {
  const worker = new Worker(program);
  const answer = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => reject(new Error(REFUSED));
    worker.postMessage({ load }, [load.weights.buffer]);
  });
  if (!answer.ready) throw new Error(answer.error);
  return worker;
}

let numRequests = 0;

async function* events(worker, request, signal) {
  const number = ++numRequests;
  const waiting = [];
  let wake = () => {};
  worker.onmessage = ({ data }) => {
    if (data.number === number) waiting.push(data);
    wake();
  };
  // By its number: by the time that this arrives, another story may be told.
  const stop = () => {
    worker.postMessage({ stop: number });
    wake();
  };
  signal?.addEventListener("abort", stop);
  worker.postMessage({ number, request });
  try {
    for (;;) {
      while (!waiting.length && !signal?.aborted) await new Promise((resolve) => (wake = resolve));
      if (signal?.aborted) return;
      const { event, error } = waiting.shift();
      if (error) throw new Error(error);
      yield event;
      if (event.kind === "end") return;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop(); // the page may have turned away without a signal
  }
}
