import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

const NO_NAMES: readonly string[] = []

/** A connection has one certificate, and many requests ask for it. */
const namesOf = new WeakMap<TLSSocket, readonly string[]>()

/**
 * Who the peer is, as a certificate says that the configured authority has signed: its DNS and URI
 * names (RFC 5280 section 4.2.1.6), then the common names of its subject. Empty without one.
 */
export function certificateNames(socket: Socket): readonly string[] {
  if (!(socket instanceof TLSSocket)) return NO_NAMES
  const known = namesOf.get(socket)
  if (known !== undefined) return known
  const names = readNames(socket)
  namesOf.set(socket, names)
  return names
}

function readNames(socket: TLSSocket): readonly string[] {
  // True on a resumed session without a certificate as well, so both are asked.
  if (!socket.authorized) return NO_NAMES
  const { subject, subjectaltname } = socket.getPeerCertificate()
  const commonNames = [subject?.CN ?? []].flat()
  return [...new Set([...alternativeNames(subjectaltname ?? ''), ...commonNames])]
}

/** `DNS:a.example, URI:"spiffe://a/b, c"`: what could be misread stands in JSON (node:tls). */
const ALTERNATIVE = /(?:^|, )([A-Za-z ]+):("(?:\\["\\]|\\u[0-9a-f]{4}|[^"\\\p{Cc}])*"|[^",]*)/guy

/** @param text Alternative names of a certificate as node:tls writes them. */
export function alternativeNames(text: string): string[] {
  const names: string[] = []
  let end = 0
  for (const [whole, kind, value = ''] of text.matchAll(ALTERNATIVE)) {
    end += whole.length
    if (kind !== 'DNS' && kind !== 'URI') continue
    names.push(value.startsWith('"') ? String(JSON.parse(value)) : value)
  }
  // A list that is not understood to its end is not believed at all.
  return end === text.length ? names : []
}
