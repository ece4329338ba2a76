// Which language, its words, and numbers and dates as it writes them.
import en from "./words.en.js";
import zh from "./words.zh.js";

export const LANGUAGES = { en: "English", zh: "简体中文" };
const WORDS = { en, zh };
const KEPT_AS = "thunderdl.language";

let language = "en";
let formats = {};

/** `wanted`: one of LANGUAGES, kept for the next time; without it what was kept, else the browser's. */
export function setLanguage(wanted) {
  if (wanted) localStorage.setItem(KEPT_AS, wanted);
  const kept = localStorage.getItem(KEPT_AS);
  const asked = navigator.languages ?? [navigator.language];
  language = kept in WORDS ? kept : (asked.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in WORDS) ?? "en");
  // The browser's own variant (en-GB) where it is of this language: it knows the reader's dates.
  const locale = asked.find((tag) => tag.toLowerCase().startsWith(language)) ?? (language === "zh" ? "zh-CN" : "en");
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  formats = {
    plural: new Intl.PluralRules(locale),
    whole: new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }),
    figures: [0, 1, 2].map((n) => new Intl.NumberFormat(locale, { minimumFractionDigits: n, maximumFractionDigits: n })),
    percent: new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }),
    moment: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }),
    clock: new Intl.DateTimeFormat(locale, { timeStyle: "short" }),
    day: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" }),
    date: new Intl.DateTimeFormat(locale, { dateStyle: "medium" }),
    unit: (unit) => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "narrow" }),
  };
}

export const currentLanguage = () => language;

export function t(key, fields = {}) {
  let text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  if (typeof text === "object") {
    // Chinese has one form only, but "one" of ours may say something else: then it is meant for n = 1.
    const form = fields.n === 1 && text.one ? "one" : formats.plural.select(fields.n);
    text = text[form] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof fields[name] === "number" ? formats.whole.format(fields[name]) : fields[name]));
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** [figures, unit]: three figures, binary units, as the command line writes them. */
export function sizeParts(bytes) {
  let [value, unit] = [Math.max(0, bytes || 0), 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  const decimals = unit === 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return [formats.figures[decimals].format(value), UNITS[unit]];
}

export const size = (bytes) => sizeParts(bytes).join("\u00a0");
export const rate = (bytes) => `${size(bytes)}/s`;
export const whole = (n) => formats.whole.format(n);

/** Never 100 % before the last byte. */
export function percent(done, all) {
  return formats.percent.format(percentNumber(done, all) / 100);
}

export function percentNumber(done, all) {
  if (!all) return 0;
  return done >= all ? 100 : Math.min(99, Math.floor((done / all) * 100));
}

export const shareText = (share) => formats.percent.format(Math.max(0, Math.min(1, share || 0)));

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const [first, second] = s < 60 ? [["second", s]] : s < 3600 ? [["minute", s / 60], ["second", s % 60]]
    : s < 172800 ? [["hour", s / 3600], ["minute", (s % 3600) / 60]] : [["day", s / 86400], ["hour", (s % 86400) / 3600]];
  const parts = [first, second].filter((part, index) => part && (index === 0 || Math.floor(part[1]) > 0));
  return parts.map(([unit, value]) => formats.unit(unit).format(Math.floor(value))).join(" ");
}

export const moment = (epoch) => formats.moment.format(epoch * 1000);

/** As short as it can be told apart: today's by the clock, this year's by the day. */
export function shortMoment(epoch) {
  const [then, now] = [new Date(epoch * 1000), new Date()];
  if (then.toDateString() === now.toDateString()) return formats.clock.format(then);
  return (then.getFullYear() === now.getFullYear() ? formats.day : formats.date).format(then);
}

/** "250K" → bytes a second; null for none; undefined for one by the clock. */
export function parseRate(text) {
  if (text === null || text === undefined || text === "") return null;
  const found = /^([\d.]+)([KMGT]?)(?:i?B)?(?:\/s)?$/i.exec(String(text).trim());
  if (!found) return undefined;
  return Number(found[1]) * 1024 ** "_KMGT".indexOf(found[2].toUpperCase() || "_") || null;
}

export function limitText(text) {
  const bytes = parseRate(text);
  return bytes === undefined ? t("by_the_clock") : bytes === null ? t("no_limit") : rate(bytes);
}
