import { readFile, stat } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'
import { type AtomicAmount, atomicAmount, parseAmount } from '../../core/amount.ts'
import { type Failed, usageFailure } from '../failure.ts'
import type { Preference } from './choose-offer.ts'
import type { WebRequest } from './http.ts'
import type { KeySource } from './payer-key.ts'

/** The options of `farebox pay` as commander hands them over. */
export interface PayOptions {
  readonly max: string
  readonly maxAtomic?: AtomicAmount
  readonly network?: string
  readonly asset?: string
  readonly method?: string
  readonly data?: string
  readonly header?: readonly Header[]
  readonly keyEnv: string
  readonly keyFile?: string
  readonly yes?: true
  readonly wait: number
  readonly receipt?: string
  readonly json?: true
}

export type Header = readonly [name: string, value: string]

/** More decimals than any token carries; the token itself is checked when its price is known. */
const DECIMALS_MAX = 36
const WAIT_SECONDS_MAX = 3600
const DATA_BYTES_MAX = 10 * 1024 * 1024

/** Characters of a header's name (RFC 9110 section 5.6.2) and of its value (section 5.5). */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/
const PAYMENT_HEADERS = new Set(['payment-signature', 'x-payment'])

export function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new InvalidArgumentError('Write a whole URL that begins with https:// or http://.')
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidArgumentError('Put credentials into a header: -H "authorization: …".')
  }
  url.hash = ''
  return url
}

export function parseDollars(text: string): string {
  if (parseAmount(text, DECIMALS_MAX).kind === 'amount') return text
  throw new InvalidArgumentError('Write a plain decimal number of dollars, like 0.01.')
}

export function parseAtomic(text: string): AtomicAmount {
  if (/^\d{1,78}$/.test(text)) return atomicAmount(BigInt(text))
  throw new InvalidArgumentError('Write a whole number of atomic units, like 10000.')
}

export function parseWait(text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (seconds <= WAIT_SECONDS_MAX) return seconds
  throw new InvalidArgumentError(`Write a whole number of seconds, ${WAIT_SECONDS_MAX} at most.`)
}

export function parseAsset(text: string): string {
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return text
  throw new InvalidArgumentError("Write the token's address: 0x and 40 hexadecimal digits.")
}

export function parseMethod(text: string): string {
  if (/^[A-Za-z-]{1,32}$/.test(text)) return text.toUpperCase()
  throw new InvalidArgumentError('Write an HTTP method, like POST.')
}

export function parseHeader(text: string, previous: readonly Header[] = []): readonly Header[] {
  const [, name, value] = HEADER.exec(text) ?? []
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('Write a header as "name: value".')
  }
  if (PAYMENT_HEADERS.has(name.toLowerCase())) {
    throw new InvalidArgumentError('The payment header is made here, from what the server asks.')
  }
  return [...previous, [name.toLowerCase(), value.trimEnd()]]
}

export function preferenceOf(options: PayOptions): Preference {
  return {
    limit:
      options.maxAtomic === undefined
        ? { kind: 'dollars', text: options.max }
        : { kind: 'atomic', units: options.maxAtomic },
    network: options.network ?? null,
    asset: options.asset ?? null,
  }
}

export function keySourceOf({ keyEnv, keyFile }: PayOptions): KeySource {
  return keyFile === undefined
    ? { kind: 'environment', name: keyEnv }
    : { kind: 'file', path: keyFile }
}

export type BuiltRequest = { readonly kind: 'request'; readonly request: WebRequest } | Failed

/** Puts the request together. `-d @file` reads the file; with data, POST is the default. */
export async function requestOf(url: URL, options: PayOptions): Promise<BuiltRequest> {
  const body = options.data === undefined ? null : await readData(options.data)
  if (body !== null && 'kind' in body) return body
  const method = options.method ?? (body === null ? 'GET' : 'POST')
  const headers: Record<string, string> = { 'user-agent': 'farebox', accept: '*/*' }
  if (body !== null) headers['content-type'] = isJson(body) ? 'application/json' : 'text/plain'
  for (const [name, value] of options.header ?? []) headers[name] = value
  return { kind: 'request', request: { url, method, headers, body } }
}

async function readData(data: string): Promise<Buffer | Failed> {
  if (!data.startsWith('@')) return Buffer.from(data)
  const path = data.slice(1)
  try {
    const { size } = await stat(path)
    if (size <= DATA_BYTES_MAX) return await readFile(path)
    return badData(`${path} is larger than ${DATA_BYTES_MAX} bytes.`)
  } catch (error) {
    return badData(error instanceof Error ? error.message : String(error))
  }
}

function badData(message: string): Failed {
  return usageFailure(
    'bad_data',
    message,
    'Name a file after -d @ that exists and is not too long.',
  )
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString('utf8'))
    return true
  } catch {
    return false
  }
}
