// The few signs of the page, drawn on a grid of 20 with one pen.
import { svg } from "./dom.js";

const PATHS = {
  pause: "M7 4.5v11M13 4.5v11",
  play: "M6.5 4.2v11.6l9-5.8z",
  remove: "M5 5l10 10M15 5L5 15",
  retry: "M15.5 10a5.5 5.5 0 1 1-1.7-4M15.5 3v3.4h-3.4",
  plus: "M10 4v12M4 10h12",
  back: "M11.5 4.5L6 10l5.5 5.5",
  top: "M4.5 4h11M10 16V7.5M6 11l4-4 4 4",
  gear: "M4 6h6M14 6h2M4 14h2M10 14h6M12 4v4M8 12v4",
  theme: "M10 3.5a6.5 6.5 0 1 0 6.5 6.5A5 5 0 0 1 10 3.5z",
  help: "M7.5 7.6A2.6 2.6 0 1 1 10 10.4v1.4M10 15v.4",
  gauge: "M3.5 14a6.8 6.8 0 1 1 13 0M10 12.5l3-4.5",
  grip: "M7.5 5v.1M12.5 5v.1M7.5 10v.1M12.5 10v.1M7.5 15v.1M12.5 15v.1",
  check: "M4.5 10.5l3.6 3.6 7.4-8",
  alert: "M10 4.5v7M10 15v.2",
  down: "M10 4v11M5.5 10.5L10 15l4.5-4.5",
  up: "M10 16V5M5.5 9.5L10 5l4.5 4.5",
  search: "M9 14.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11zM13 13l3.5 3.5",
  file: "M5.5 3.5h6l3.5 3.5v9.5h-9.5zM11.5 3.5V7H15",
  recheck: "M16.200 8.700A6.400 6.400 0 1 1 12.600 4.200M7.300 9.800l2.600 2.600L16.500 5.500",
};

export function icon(name) {
  return svg("svg", { class: `icon icon-${name}`, viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
