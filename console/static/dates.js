// Says a chosen day back in the words of the page: a browser shows days in its own order, and 03/12 taken for 12/03 ends
// an absence in March. What enters: date fields. What leaves: the day in words below each, with its distance from today.

const words = document.body.dataset;
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang; // as the pages write days
const plain = { weekday: "long", year: "numeric", month: "long", day: "numeric", timeZone: "UTC" };
const dayFormat = new Intl.DateTimeFormat(language, plain);
const momentFormat = new Intl.DateTimeFormat(language, { ...plain, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const distanceFormat = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const communityDay = new Intl.DateTimeFormat("en-CA", { timeZone: words.zone, year: "numeric", month: "2-digit", day: "2-digit" });
const DAY_MS = 24 * 3600 * 1000;
const FIELDS = "input[type=date], input[type=datetime-local]";

// What was typed has no zone: it is the community's, as is the day it is measured from.
function inWords(field) {
  const moment = Date.parse(field.type === "date" ? field.value : `${field.value}Z`);
  if (Number.isNaN(moment)) return "";
  const now = Number(words.now) + performance.now() * Number(words.speed);
  const days = Math.round((Date.parse(field.value.slice(0, 10)) - Date.parse(communityDay.format(now))) / DAY_MS);
  const said = (field.type === "date" ? dayFormat : momentFormat).format(moment);
  return Number.isNaN(days) ? said : `${said} · ${distanceFormat.format(days, "day")}`;
}

function sayBack(field) {
  let place = field.nextElementSibling;
  if (!place?.matches(".said-back")) {
    place = Object.assign(document.createElement("output"), { className: "said-back" });
    if (field.id) place.htmlFor = field.id;
    field.after(place);
  }
  place.textContent = inWords(field);
}

for (const field of document.querySelectorAll(FIELDS)) if (field.value) sayBack(field);
document.addEventListener("input", (event) => { if (event.target.matches(FIELDS)) sayBack(event.target); });
