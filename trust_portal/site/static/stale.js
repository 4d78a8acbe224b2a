"use strict";
// A dead site must look dead: show the banner once the evidence of this page has expired.
const banner = document.getElementById("stale");
if (banner && Date.now() > Date.parse(banner.dataset.until)) banner.hidden = false;
