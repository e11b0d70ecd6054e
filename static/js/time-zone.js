// Tells the server the browser's time zone, which it shows times in from the next page on.

const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
const secure = location.protocol === "https:" ? "; secure" : "";
if (timeZone) document.cookie = `time_zone=${timeZone}; path=/; max-age=31536000; samesite=lax${secure}`;
