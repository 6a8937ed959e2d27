const CHARACTERS_MAX = 200

/**
 * What a facilitator gave as its reason, cut to what may go into a header, a row and a log: its
 * first line. Some services pass on their chain client's whole message, with the URL of their node
 * and the signature in it.
 */
export function shortReason(text: string): string {
  const [line = ''] = text.split(/[\r\n]/, 1)
  return line.slice(0, CHARACTERS_MAX)
}
