/** The base URL of a service that takes its key as the last part of the path. */
export function openPathKey(url: string, key: string): string {
  return `${url}/${encodeURIComponent(key)}`
}
