"use strict";
// The page: asks the API, shows the answer, and shows each citation inside its document. Text is only ever set with
// textContent, so that nothing in a document can become markup.

const $ = (id) => document.getElementById(id);
const TAGS = { en: "en", "zh-TW": "zh-Hant-TW", ja: "ja" };
let strings = {};
let facts = {};
let shown = null;
let state = ["", {}, false];

const say = (key, values = {}) =>
  ((strings[$("language").value] || {})[key] || (strings.en || {})[key] || key)
    .replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

function tell(key, values = {}, bad = false) {
  state = [key, values, bad];
  $("state").textContent = key ? say(key, values) : "";
  $("state").className = bad ? "bad" : "";
}

function headers() {
  const token = $("token").value;
  return { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

async function call(path, body) {
  const options = { headers: headers(), ...(body ? { method: "POST", body: JSON.stringify(body) } : {}) };
  const response = await fetch(path, options);
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error((data.error && data.error.message) || `HTTP ${response.status}`);
  return data;
}

function speak() {
  const lang = $("language").value;
  document.documentElement.lang = TAGS[lang];
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  $("approach").textContent = facts.approach ? say("answers_with", { approach: facts.approach }) : "";
  tell(...state);
  if (shown) show(shown.question, shown.completion);
  try { localStorage.setItem("groundtune-language", lang); } catch { /* private windows may refuse */ }
}

function show(question, completion) {
  const message = completion.choices[0].message;
  const more = completion.groundtune;
  shown = { question, completion };
  $("answer").textContent = message.content || say("abstained");
  const seconds = more.seconds.toFixed(2);
  $("facts").textContent = say(factsKey(more), { seconds, approach: more.approach });
  $("sources").replaceChildren(...more.citations.map(source));
  $("sources-head").hidden = more.citations.length === 0;
  $("feedback").hidden = !facts.feedback;
  $("result").hidden = false;
}

const factsKey = (more) =>
  more.abstained ? "facts_abstained" : more.citations.length ? "facts" : "facts_unsourced";

function source(citation) {
  const item = document.createElement("li");
  const open = document.createElement("button");
  open.type = "button";
  open.textContent = [citation.title || citation.document_id, citation.heading].filter(Boolean).join(" | ");
  open.addEventListener("click", () => read(citation).catch((error) => tell("failed", { reason: error.message }, true)));
  const quote = document.createElement("blockquote");
  quote.textContent = citation.quote;
  item.append(open, quote);
  return item;
}

async function read(citation) {
  const path = citation.document_id.split("/").map(encodeURIComponent).join("/");
  const stored = await call(`/documents/${path}?version=${encodeURIComponent(citation.version)}`);
  const letters = Array.from(stored.text); // offsets count code points, JavaScript counts UTF-16 units
  const mark = document.createElement("mark");
  mark.textContent = letters.slice(citation.start, citation.end).join("");
  $("reader-head").textContent = citation.title || citation.document_id;
  $("document").replaceChildren(
    letters.slice(0, citation.start).join(""), mark, letters.slice(citation.end).join(""));
  $("reader").showModal();
  mark.scrollIntoView({ block: "center" });
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question) return;
  const button = event.submitter || $("ask").querySelector("button");
  button.disabled = true;
  tell("waiting");
  try {
    show(question, await call("/v1/chat/completions", { model: facts.model, messages: [{ role: "user", content: question }] }));
    $("correct").hidden = true;
    tell("");
  } catch (error) {
    $("result").hidden = true;
    tell("failed", { reason: error.message }, true);
  } finally {
    button.disabled = false;
  }
});

async function judge(accepted, correction = "") {
  const answer = shown.completion.choices[0].message.content;
  try {
    await call("/v1/feedback", { question: shown.question, answer, accepted, correction });
    $("correct").hidden = true;
    tell("thanks");
  } catch (error) {
    tell("failed", { reason: error.message }, true);
  }
}

$("accept").addEventListener("click", () => judge(true));
$("reject").addEventListener("click", () => { $("correct").hidden = false; $("correction").focus(); });
$("correct").addEventListener("submit", (event) => { event.preventDefault(); judge(false, $("correction").value); });
$("close").addEventListener("click", () => $("reader").close());
$("language").addEventListener("change", speak);
$("question").addEventListener("keydown", (event) => {
  // Enter sends, Shift+Enter breaks the line; an Enter that ends an input method's composition does neither.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("ask").requestSubmit(); }
});

(async () => {
  [strings, facts] = await Promise.all([call("/strings.json"), call("/healthz")]);
  let lang = facts.language;
  try { lang = localStorage.getItem("groundtune-language") || lang; } catch { /* private windows may refuse */ }
  $("language").value = lang in TAGS ? lang : "en";
  $("token-row").hidden = !facts.token;
  speak();
})();
