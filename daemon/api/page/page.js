// Shows the newest report and never lets an old one look new. No framework, nothing from elsewhere.
"use strict";

const ASK_EVERY = 1000; // ms
const GIVE_UP_AFTER = 5000; // ms for one answer
const STALE_AFTER = 10000; // ms without a newer picture; by this browser's clock, so a wrong or replayed clock can't fool it
const TIERS = ["hot", "warm", "cold"];

const seen = { report: null, changed: null, failure: "" };

// ---- asking -------------------------------------------------------------------------------------------------------

async function ask() {
  try {
    const answer = await fetch("api/v1/report", {
      cache: "no-store",
      headers: token() ? { Authorization: `Bearer ${token()}` } : {},
      signal: AbortSignal.timeout(GIVE_UP_AFTER),
    });
    document.getElementById("token-form").hidden = answer.status !== 401;
    const body = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(body?.detail ?? body?.title ?? `the daemon answers ${answer.status}`);
    if (typeof body?.at !== "string") throw new Error("the daemon answers something that is no report");
    if (seen.report?.at !== body.at) seen.changed = performance.now();
    seen.report = body;
    seen.failure = "";
  } catch (error) {
    seen.failure = error.name === "TimeoutError" ? "it does not answer in time" : error.message || "it can't be reached";
  }
}

/** What the tokens file of the daemon knows; kept until this tab is closed. */
function token() {
  return sessionStorage.getItem("token");
}

document.getElementById("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("token");
  sessionStorage.setItem("token", field.value.trim());
  field.value = "";
  ask().then(show);
});

async function forever() {
  await ask();
  show();
  setTimeout(forever, ASK_EVERY);
}

// ---- judging what stands there ------------------------------------------------------------------------------------

const isBlind = (entry) => entry.alert === "PyrometerBlind";
const isHotShare = (entry) => entry.alert === "PyrometerHotShareHigh";
const COVERAGE = { guarantee: "PyrometerGuaranteeShort", backing: "PyrometerBackingShort", reserve: "PyrometerReserveShort" };
const isRatio = (entry) => isHotShare(entry) || Object.values(COVERAGE).includes(entry.alert);

/** The daemon's own answer. A picture that nothing is judged by answers nothing. */
function overall(report) {
  const judged = ["ok", "breach", "unknown"].includes(report.verdict) && report.verdicts?.length > 0;
  return judged ? report.verdict : "unknown";
}

function reasons(report, state) {
  const verdicts = report.verdicts ?? [];
  if (verdicts.length === 0) return "No rule judges anything.";
  const named = (list) => list.map((entry) => `${entry.policy} on ${entry.subject}`).join(", ");
  const broken = verdicts.filter((entry) => entry.verdict === "breach" && !isBlind(entry));
  const unsure = verdicts.filter((entry) => entry.verdict === "unknown");
  const standing = (report.findings ?? []).filter((finding) => finding.state === "firing");
  const parts = [];
  if (broken.length) parts.push(`Outside its limit: ${named(broken)}.`);
  if (unsure.length) parts.push(`Not known: ${named(unsure)}.`);
  if (state === "ok") parts.push(`All ${verdicts.length} verdicts are known and inside their limits.`);
  if (state === "ok" && standing.length) parts.push(`Not yet for long enough to call it over: ${named(standing)}.`);
  return parts.join(" ");
}

// ---- words and numbers --------------------------------------------------------------------------------------------

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
const upward = new Intl.NumberFormat("en", { maximumFractionDigits: 4, roundingMode: "ceil" }); // to move less is too little
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function known(text) {
  return text !== null && text !== undefined && text !== "" && Number.isFinite(Number(text));
}

/** Two places, or as many as it takes to show on which side of the limit it lies. */
function percent(text, limit) {
  const value = Number(text) * 100;
  let places = 2;
  const same = () => Number(text) !== Number(limit) && value.toFixed(places) === (Number(limit) * 100).toFixed(places);
  if (known(limit)) while (places < 12 && same()) places += 1;
  return `${Number(value.toFixed(places))} %`;
}

function between(interval, limit) {
  if (known(interval.value)) return percent(interval.value, limit);
  if (known(interval.high)) return `between ${percent(interval.low ?? 0)} and ${percent(interval.high)}`;
  return known(interval.low) && Number(interval.low) > 0 ? `at least ${percent(interval.low)}` : "not known at all";
}

function clock(text) {
  return text ? `${text.slice(0, 10)} ${text.slice(11, 19)}` : "never";
}

function hour(text) {
  return text ? text.slice(11, 19) : "never";
}

function span(seconds) {
  if (!known(seconds)) return "unknown";
  const whole = Math.max(0, Math.round(Number(seconds)));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

function coins(text) {
  return plain.format(Number(text));
}

// ---- drawing ------------------------------------------------------------------------------------------------------

function element(name, classes = "", ...children) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}

const number = (text) => element("span", "n", text);

function write(id, text) {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text; // a live region speaks only of changes
}

function fill(id, children) {
  document.getElementById(id).replaceChildren(...children);
}

function show() {
  const { report, changed, failure } = seen;
  const silence = changed === null ? 0 : performance.now() - changed;
  const frozen = silence > STALE_AFTER;
  const stale = report !== null && (failure !== "" || frozen);
  const state = report === null ? "waiting" : overall(report);
  document.body.className = stale ? `stale ${state}` : state;
  const alarm = document.getElementById("alarm");
  alarm.hidden = !stale && failure === "";
  if (report === null) {
    write("alarm", failure && `No answer yet: ${failure}.`);
    write("verdict", failure ? "no answer" : "waiting for the first answer");
    return;
  }
  if (stale) write("alarm", excuse(report, failure, silence));
  showAnswer(report, state, stale);
  showReport(report, silence);
}

function excuse(report, failure, silence) {
  const when = `${clock(report.at)} UTC, ${span(silence / 1000)} ago`;
  if (failure) return `No answer since ${when}: ${failure}. Nothing below is live.`;
  return `No newer picture since ${when}: the daemon answers, but stands still. Nothing below is live.`;
}

function showAnswer(report, state, stale) {
  const words = { ok: "inside policy", breach: "BREACH", unknown: "UNKNOWN" };
  document.title = `${stale ? "not live" : words[state]} · ${report.entity}`;
  write("verdict", stale ? (seen.failure ? "NO ANSWER" : "STANDING STILL") : words[state]);
  write("why", stale ? `It was: ${words[state]}. What it is now, nobody here knows.` : reasons(report, state));
}

function showReport(report, silence) {
  write("entity", report.entity);
  write("picture", `picture of ${clock(report.at)} UTC, ${span(silence / 1000)} old`);
  const shares = Object.entries(report.exposure?.hot_share ?? {});
  const bars = shares.map(([scope, interval]) => shareBar(report, scope, interval));
  fill("shares", drawn(bars, 1));
  const findings = report.findings ?? [];
  document.getElementById("findings-section").hidden = findings.length === 0;
  fill("findings", findings.map(findingCard));
  const movements = report.movements ?? [];
  document.getElementById("movements-section").hidden = movements.length === 0;
  fill("movements", movements.map(movementRow));
  showCoverage(report);
  fill("wallets", TIERS.map((tier) => tierCard(report, tier)).filter((card) => card !== null));
  fill("chains", Object.entries(report.chains ?? {}).map(([name, chain]) => chainCard(name, chain)));
  const feeds = Object.entries(report.feeds ?? {});
  write("problems", (report.problems ?? []).length ? `Not ready: ${report.problems.join("; ")}.` : "");
  write("feeds", feeds.map(([name, feed]) => `${name}: ${feed.source}, ${span(feed.age_seconds)} old`).join(" · "));
}

function shareBar(report, scope, interval) {
  const verdict = (report.verdicts ?? []).find((entry) => entry.subject === scope && isHotShare(entry));
  const state = verdict?.verdict ?? (known(interval.value) ? "" : "unknown");
  const says = { ok: "inside", breach: "BREACH", unknown: "UNKNOWN" }[state] ?? "no limit";
  return { name: scope === "all" ? "all, by value" : scope, interval, limit: verdict?.limit, state, says };
}

/** Bars of one section share one scale, so that they can be compared; `most` is the largest value that there can be. */
function drawn(bars, most) {
  const needs = ({ interval, limit }) => {
    const highest = known(interval.value) ? interval.value : known(interval.high) ? interval.high : Math.min(most, 1);
    return Math.max(Number(highest) * 1.15, known(limit) ? Number(limit) * 2 : 0, 0.01);
  };
  const scale = Math.min(most, Math.max(...bars.map(needs)));
  return bars.map((bar) => drawBar(bar, scale));
}

function drawBar({ name, interval, limit, state, says }, scale) {
  const line = element("div", "row", element("span", "name", name), number(between(interval, limit)));
  if (known(limit)) line.append(element("span", "soft", `limit ${percent(limit)}`));
  line.append(element("span", "says n", says));
  const track = element("div", "track", ...segments(interval, scale));
  if (known(limit)) track.append(placed("limit", Number(limit) / scale, null));
  track.setAttribute("role", "img");
  const facts = [`${name}: ${between(interval, limit)}`, known(limit) ? `limit ${percent(limit)}` : "", says];
  track.setAttribute("aria-label", facts.filter(Boolean).join(", "));
  return element("li", `${state || "no"}-bar`, line, track);
}

/** A value is solid. What is not known is hatched from its lower to its upper bound, all the way where there is none. */
function segments(interval, scale) {
  if (known(interval.value)) return [placed("fill", 0, Number(interval.value) / scale)];
  const low = known(interval.low) ? Number(interval.low) / scale : 0;
  const high = known(interval.high) ? Math.min(1, Number(interval.high) / scale) : 1;
  return [placed("fill", 0, low), placed("range", low, Math.max(high - low, 0.01))];
}

function placed(classes, left, width) {
  const made = element("span", classes);
  made.style.left = `${Math.min(1, left) * 100}%`;
  if (width !== null) made.style.width = `${Math.min(1, width) * 100}%`;
  return made;
}

/** None where there is nothing to cover, and where nothing is set aside and no rule asks for it. */
function coverBar(report, kind, name, entry) {
  const isReserve = kind === "reserve"; // goes by policy, the others by asset
  const verdict = (report.verdicts ?? []).find((each) => (
    each.alert === COVERAGE[kind] && name === (isReserve ? each.policy : each.subject)
  ));
  if (!known(entry.low) || (!verdict && entry.part?.high === "0")) return null;
  const state = verdict?.verdict ?? (known(entry.value) ? "" : "unknown");
  const says = { ok: "covered", breach: "BREACH", unknown: "UNKNOWN" }[state] ?? "no limit";
  return { name: `${kind} ${name}`, interval: entry, limit: verdict?.limit, state, says };
}

function showCoverage(report) {
  const bars = Object.entries(report.coverage ?? {}).flatMap(([kind, entries]) => (
    Object.entries(entries).map(([name, entry]) => coverBar(report, kind, name, entry)).filter((bar) => bar !== null)
  ));
  document.getElementById("coverage-section").hidden = bars.length === 0;
  fill("coverage", drawn(bars, Infinity));
}

function findingCard(finding) {
  const figure = (text, beside) => (isRatio(finding) ? percent(text, beside) : coins(text));
  const { value, limit } = finding;
  const head = element("p", "", element("span", "state", label(finding)));
  head.append(` ${finding.severity}, ${finding.policy} on ${finding.subject}, since `, number(`${hour(finding.since)} UTC`));
  const card = element("li", `${finding.state}${isBlind(finding) ? " blind" : ""}`, head);
  if (finding.summary) card.append(element("p", "n", finding.summary));
  if (known(limit)) {
    const now = known(value) ? figure(value, limit) : "not known";
    card.append(element("p", "", "now ", number(now), ", limit ", number(figure(limit))));
  }
  for (const move of finding.moves ?? []) {
    card.append(element("p", "move", "Move ", number(`${upward.format(Number(move.amount))} ${move.asset}`), ` ${way(move)}`));
  }
  return card;
}

/** Without a wallet it has to come from outside: bought, or paid in. */
function way({ wallet, direction, counterpart }) {
  if (!wallet) return `from outside to ${counterpart}`;
  if (direction === "in") return counterpart ? `from ${counterpart} to ${wallet}` : `into ${wallet}`;
  return counterpart ? `from ${wallet} to ${counterpart}` : `from ${wallet}`;
}

/** What is pending was told to nobody; what is firing and inside its limit again waits to be called over. */
function label(finding) {
  if (finding.state === "pending") return "PENDING";
  if (finding.verdict === "ok") return "CLEARING";
  if (finding.verdict === "unknown") return "UNRESOLVED";
  return isBlind(finding) ? "BLIND" : "BREACH";
}

/** What was replaced or evicted moved nothing in the end: its amounts are struck. */
function movementRow(movement) {
  const coldPays = paying(movement).some((wallet) => wallet.tier === "cold");
  const isGone = ["replaced", "evicted"].includes(movement.stage);
  const row = element("li", `${movement.stage}${coldPays ? " cold-pays" : ""}`);
  row.append(element("span", "stage", movement.stage));
  if (coldPays) row.append(element("span", "cold", "COLD WALLET PAYS"));
  for (const wallet of movement.wallets ?? []) {
    const text = `${wallet.wallet ?? brief(wallet.accounts?.[0]?.account)} ${signed(wallet.amount)} ${movement.asset ?? ""}`;
    row.append(element("span", `what n${isGone ? " gone" : ""}`, text.trim()));
    row.append(element("span", "soft", wallet.tier ?? "no wallet"));
  }
  const to = movement.destinations ?? [];
  if (movement.direction !== "credit" && to.length) {
    row.append(element("span", "to", "to ", code(to[0].address), to.length > 1 ? " and others" : ""));
  }
  const block = known(movement.height) ? `in block ${plain.format(movement.height)} of ${movement.chain}` : `on ${movement.chain}`;
  row.append(element("span", "soft", block, ", since ", number(`${clock(movement.since)} UTC`)), code(movement.transaction));
  if (movement.replaced_by) row.append(element("span", "soft", "replaced by ", code(movement.replaced_by)));
  return row;
}

/** A wallet pays where any of its accounts does, also when another of them is paid. */
function paying(movement) {
  return (movement.wallets ?? []).filter((wallet) => (wallet.accounts ?? []).some((account) => account.units.startsWith("-")));
}

function signed(text) {
  return text.startsWith("-") ? `−${exactly(text.slice(1))}` : `+${exactly(text)}`;
}

/** Grouped, with every digit that there is: a payment of dust must not look like none. */
function exactly(text) {
  const [whole, rest] = text.split(".");
  return `${plain.format(BigInt(whole))}${rest ? `.${rest}` : ""}`;
}

function brief(text) {
  return (text ?? "").length > 20 ? `${text.slice(0, 10)}…${text.slice(-6)}` : (text ?? "");
}

function code(text) {
  const made = element("code", "n", brief(text));
  made.title = text;
  return made;
}

function tierCard(report, tier) {
  const wallets = Object.entries(report.wallets ?? {}).filter(([, wallet]) => wallet.tier === tier);
  if (wallets.length === 0) return null;
  const rows = wallets.map(([name, wallet]) => walletRow(name, wallet, report.currency));
  const title = element("h3", "", tier, element("span", "soft", wallets.length === 1 ? "1 wallet" : `${wallets.length} wallets`));
  return element("article", "tier", title, element("dl", "", ...rows));
}

function walletRow(name, wallet, currency) {
  const head = element("dt", "", name);
  const notes = [wallet.owner === "customer" ? "" : wallet.owner, wallet.gate === "closed" ? "gate closed" : ""];
  for (const note of notes.filter(Boolean)) head.append(element("span", "soft", ` ${note}`));
  const lines = [];
  const holdings = Object.entries(wallet.holdings ?? {});
  for (const [asset, held] of holdings) {
    if (Number(held.amount) === 0 && holdings.length > 1) continue; // nothing of one asset among others
    const value = known(held.value) ? `${short.format(Number(held.value))} ${currency}` : "no price";
    lines.push(element("dd", "", number(`${coins(held.amount)} ${asset}`), element("span", "soft n", value)));
  }
  const lost = Object.entries(wallet.last ?? {}).filter(([asset]) => !(asset in (wallet.holdings ?? {})));
  if (wallet.unread) head.append(element("span", "unread", " unread"));
  const was = (text, last) => element("dd", "unread", number(`last ${text}`), number(`at ${hour(last.at)}`));
  const held = lost.filter(([, last]) => Number(last.amount) !== 0);
  const none = lost.filter(([, last]) => Number(last.amount) === 0);
  for (const [asset, last] of held) lines.push(was(`${coins(last.amount)} ${asset}`, last));
  if (none.length) lines.push(was(none.map(([asset]) => `no ${asset}`).join(", "), none[0][1]));
  if (!lines.length) lines.push(element("dd", "unread", "never read yet"));
  return element("div", "wallet", head, ...lines);
}

function chainCard(name, chain) {
  const card = element("li", "", element("span", "name", name));
  if (known(chain.height)) {
    const hash = element("code", "n", `${(chain.hash ?? "").slice(0, 10)}…`);
    hash.title = chain.hash ?? "";
    card.append(element("span", "", "block ", number(plain.format(chain.height))), hash);
    card.append(element("span", "soft", "block time ", number(`${hour(chain.time)} UTC`)));
  }
  const age = known(chain.age_seconds) ? `read ${span(chain.age_seconds)} ago` : "never read";
  card.append(element("span", "soft", number(age)), element("span", "soft", `reader ${chain.reader ?? "none"}`));
  if (chain.unread > 0) card.append(element("span", "unread", `${plain.format(chain.unread)} unread`));
  if (chain.reason) card.append(element("p", "reason", `${chain.reason}${chain.detail ? `: ${chain.detail}` : ""}`));
  return card;
}

forever();
