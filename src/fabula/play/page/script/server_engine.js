// The engine of `fabula play`: models that run in the process which serves this page.

async function createEngine(progress) {
  const headers = { "Content-Type": "application/json" };
  const GONE = "fabula does not answer; it may have been ended. Start `fabula play` again and load this page anew.";

  async function ask(path, body, signal) {
    let answer;
    try {
      answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    } catch (error) {
      throw error.name === "AbortError" ? error : new Error(GONE);
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.message || (said.error && said.error.message) || `the server answered ${answer.status}`);
  }

  async function* generate(request, signal) {
    const reader = (await ask("stories", request, signal)).body.getReader();
    const decoder = new TextDecoder();
    let waiting = "";
    try {
      for (;;) {
        const { value, done } = await reader.read().catch((error) => {
          throw error.name === "AbortError" ? error : new Error(GONE);
        });
        if (done) break;
        const lines = (waiting + decoder.decode(value, { stream: true })).split("\n");
        waiting = lines.pop();
        for (const line of lines) {
          const event = JSON.parse(line);
          if (event.kind === "error") throw new Error(event.message);
          yield event;
          if (event.kind === "end") return;
        }
      }
      throw new Error(GONE);
    } finally {
      reader.cancel().catch(() => {}); // whoever leaves early ends the story there
    }
  }

  progress("asking for the models …");
  const known = await (await ask("models")).json();
  return { ...known, place: `on ${location.host}`, generate };
}
