import { METHODS } from 'node:http'
import type { RequestFlaw } from '../flow/exchange.ts'
import {
  AUTHORITY,
  BAD_EXPECTATION,
  BAD_HOST,
  BAD_LENGTH,
  flaw,
  HEADERS_MAX,
  LENGTH,
  NO_CHUNKS,
  TOO_MANY,
} from './framing.ts'
import type { Heard } from './heard-request.ts'

export interface Http2Head extends Heard {
  /** The client waits for 100 before it sends its body. */
  readonly awaitsContinue: boolean
}

const TOO_LARGE: RequestFlaw = { code: 'headers_too_large', detail: 'headers' }
const BAD_SCHEME = flaw(':scheme')
const BAD_METHOD = flaw(':method')
const BAD_BODY = flaw('a body without content-length')

/** Those that HTTP/1.1 requests may have here, for its parser knows no other. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

/** What HTTP/1.1 spends on a field beside its name and its value. */
const FIELD_OVERHEAD_BYTES = 4

/**
 * Reads the head of an HTTP/2 request into what HTTP/1.1 would have said. nghttp2 has refused most
 * of what RFC 9113 section 8 calls malformed before it comes here (docs/tls-http2.md lists both);
 * the rest are the rules that HTTP/1.1 requests are held to (framing.ts), because most upstreams
 * will be told the request in HTTP/1.1.
 *
 * @param rawHeaders  Names and values in turn, pseudo-header fields included.
 * @param endsStream  No body follows.
 */
export function readHttp2Head(
  rawHeaders: readonly string[],
  { endsStream, headerBytesMax }: { readonly endsStream: boolean; readonly headerBytesMax: number },
): Http2Head {
  const read: Reading = {
    pseudo: { ':method': '', ':path': '', ':scheme': '', ':authority': null, ':protocol': null },
    fields: [],
    hosts: [],
    lengths: [],
    cookies: [],
    expects: [],
    bytes: 0,
  }
  for (let index = 0; index < rawHeaders.length; index += 2) {
    readField(read, rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '')
  }
  // Cut into crumbs for the compression's sake, and one header to whoever reads HTTP/1.1 (RFC 9113
  // section 8.2.3).
  if (read.cookies.length > 0) read.fields.push('cookie', read.cookies.join('; '))
  const { ':method': method, ':path': target } = read.pseudo
  const found = findFlaw(read, { endsStream, headerBytesMax })
  return {
    method,
    target,
    rawHeaders: read.fields,
    host: found === null ? hostOf(read) : null,
    bodyLength: bodyLength(read, endsStream),
    awaitsContinue: found === null && read.expects.length > 0,
    flaw: found,
  }
}

interface Reading {
  readonly pseudo: {
    ':method': string
    ':path': string
    ':scheme': string
    ':authority': string | null
    ':protocol': string | null
  }
  readonly fields: string[]
  readonly hosts: string[]
  readonly lengths: string[]
  readonly cookies: string[]
  readonly expects: string[]
  bytes: number
}

function readField(read: Reading, name: string, value: string): void {
  read.bytes += name.length + value.length + FIELD_OVERHEAD_BYTES
  switch (name) {
    case ':method':
    case ':path':
    case ':scheme':
    case ':authority':
    case ':protocol':
      read.pseudo[name] = value
      return
    case 'cookie':
      read.cookies.push(value)
      return
    case 'host':
      read.hosts.push(value)
      break
    case 'content-length':
      read.lengths.push(value)
      break
    case 'expect':
      read.expects.push(value)
  }
  read.fields.push(name, value)
}

function findFlaw(
  read: Reading,
  { endsStream, headerBytesMax }: { readonly endsStream: boolean; readonly headerBytesMax: number },
): RequestFlaw | null {
  const { pseudo, fields, lengths, expects } = read
  if (fields.length > 2 * HEADERS_MAX) return TOO_MANY
  if (read.bytes > headerBytesMax) return TOO_LARGE
  const { ':method': method, ':protocol': protocol } = pseudo
  // An upstream reads neither: the one it would not know, and the other says where we are.
  if (protocol !== null || method === 'CONNECT' || !KNOWN_METHODS.has(method)) return BAD_METHOD
  if (pseudo[':scheme'] !== 'https') return BAD_SCHEME
  if (hostOf(read) === null) return BAD_HOST
  if (lengths.length > 1 || !lengths.every(length => LENGTH.test(length))) return BAD_LENGTH
  // Towards an upstream such a body comes in chunks.
  if (!endsStream && lengths.length === 0 && NO_CHUNKS.has(method)) return BAD_BODY
  if (!expects.every(expected => expected.toLowerCase() === '100-continue')) return BAD_EXPECTATION
  return null
}

/** The one authority that was asked for, if `Host` names no other (RFC 9113 section 8.3.1). */
function hostOf({ pseudo, hosts }: Reading): string | null {
  const host = pseudo[':authority'] ?? hosts[0]
  if (host === undefined || hosts.length > 1 || !AUTHORITY.test(host)) return null
  return hosts.every(other => other.toLowerCase() === host.toLowerCase()) ? host : null
}

function bodyLength({ lengths }: Reading, endsStream: boolean): number | null {
  const [length] = lengths
  if (endsStream) return 0
  return length !== undefined && LENGTH.test(length) ? Number(length) : null
}
