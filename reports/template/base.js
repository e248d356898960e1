/* What the other scripts share: elements of the page. It comes first, by its name. */
"use strict";
const element = (tag, from = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), from);
  made.append(...children);
  return made;
};
const button = (text, act, from = {}) => {
  const made = element("button", {type: "button", textContent: text, ...from});
  made.addEventListener("click", act);
  return made;
};
