// What the page asks its server.

export class Refused extends Error {
  constructor(message, status, redis) {
    super(message);
    this.status = status;
    this.redis = redis;
  }
}

async function answered(response) {
  const type = response.headers.get("content-type") ?? "";
  const told = type.startsWith("application/json") ? await response.json() : { error: (await response.text()).trim() };
  if (!response.ok) throw new Refused(told.error ?? response.statusText, response.status, told.redis ?? false);
  return told;
}

async function fetched(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("clues web does not answer; it was ended, or the connection is lost. Trying again.", 0, false);
  }
}

export async function get(name, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return answered(await fetched(`api/${name}${text ? "?" + text : ""}`, { signal }));
}

export async function post(name, body) {
  return answered(await fetched(`api/${name}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  }));
}
