// Elements from code. Text reaches the page as text nodes only: names and messages come from strangers.

// Control characters and those that turn the direction of writing: a name that hides its ending, or a line break.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Text of a stranger as one that can be shown: no controls, `most` characters at the most. */
export function plain(text, most = 300) {
  const whole = String(text ?? "");
  // The end tells as much as the beginning: that is where the kind of a file stands.
  const tail = Math.min(36, Math.floor(most / 3));
  const shown = whole.length > most ? whole.slice(0, most - tail - 3) + " … " + whole.slice(-tail) : whole;
  return shown.replace(UNSEEN, "\u00b7");
}

const SVG = "http://www.w3.org/2000/svg";

/** An element: `on` has listeners, `vars` custom properties; what is null or false is left out. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [type, hear] of Object.entries(value)) element.addEventListener(type, hear);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Writes only what is new: a text set again would drop the reader's selection and cost a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttr(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

export function setVar(element, name, value) {
  if (element.style.getPropertyValue(name) !== String(value)) element.style.setProperty(name, value);
}

/** The children of `parent` are those of `items` by `key`, in order, each made once and updated ever after. */
export function keyed(parent, items, key, make, update) {
  const had = (parent.keyed ??= new Map());
  const seen = new Set();
  let before = parent.firstElementChild;
  for (const [index, item] of items.entries()) {
    const id = key(item, index);
    if (seen.has(id)) continue;
    seen.add(id);
    let row = had.get(id);
    if (!row) had.set(id, (row = make(item)));
    if (row.element === before) before = before.nextElementSibling;
    else parent.insertBefore(row.element, before);
    (update ?? row.update)?.call(row, item, index);
  }
  for (const [id, row] of had) {
    if (seen.has(id)) continue;
    row.element.remove();
    had.delete(id);
  }
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
