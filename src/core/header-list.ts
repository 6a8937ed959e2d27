/**
 * Headers as they stand on the wire and as node:http and undici take them: names and values in
 * turn, in their order, repeated where they were repeated.
 */
export type HeaderList = readonly string[]

const NO_VALUES: HeaderList = []

/** @param lower The header's name in lower case. */
export function valuesOf(headers: HeaderList, lower: string): readonly string[] {
  let values: string[] | null = null
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (name.length !== lower.length || (name !== lower && name.toLowerCase() !== lower)) continue
    values ??= []
    values.push(headers[index + 1] ?? '')
  }
  return values ?? NO_VALUES
}

/** The headers whose names are not stopped. */
export function withoutHeaders(headers: HeaderList, stops: (name: string) => boolean): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (!stops(name)) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}
