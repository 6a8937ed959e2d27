import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { Finding } from './problems.ts'
import { readTextFile } from './text-file.ts'

/** Bundles of every public root have about 250 KiB. */
export const PEM_BYTES_MAX = 1024 * 1024

export type PemFile<T> =
  | { readonly kind: 'read'; readonly pem: string; readonly value: T }
  | { readonly kind: 'refused'; readonly finding: Finding }

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END [^-]+-----/g

/** PKCS #8 (RFC 7468 section 11), and OpenSSL's older formats. */
const LOCKED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m

/** The certificates of a PEM file, in its order. Never empty. */
export function readCertificates(
  named: string,
  directory: string,
): PemFile<readonly [X509Certificate, ...X509Certificate[]]> {
  return readPem(named, directory, pem => {
    const [first, ...others] = (pem.match(CERTIFICATE) ?? []).map(one => new X509Certificate(one))
    return first === undefined ? null : [first, ...others]
  })
}

/** The private key of a PEM file. */
export function readPrivateKey(named: string, directory: string): PemFile<KeyObject> {
  return readPem(named, directory, pem => {
    if (!pem.includes('-----BEGIN')) return null
    return createPrivateKey(pem)
  })
}

/** @param named As the configuration names it; relative to `directory`. */
function readPem<T>(
  named: string,
  directory: string,
  parse: (pem: string) => T | null,
): PemFile<T> {
  // A file's content instead of its name: not to be repeated in a message about a missing file.
  if (named.includes('-----BEGIN')) {
    return refused('holds the text of a file', `Write the path of the file, without \${file:…}.`)
  }
  const read = readTextFile(resolve(directory, named), PEM_BYTES_MAX)
  if (read.kind === 'unreadable') {
    const cure = `Create it, or correct its path. Relative paths start from ${directory}.`
    return refused(`names a file that ${read.why}`, cure)
  }
  if (LOCKED.test(read.text)) {
    const cure = 'Write the key without a passphrase, into a file that only farebox may read.'
    return refused('names a key that has a passphrase', cure)
  }
  const value = parsed(read.text, parse)
  if (value !== null) return { kind: 'read', pem: read.text, value }
  const cure = 'Write it as PEM: text that begins with -----BEGIN.'
  return refused('names a file in which nothing of the kind can be read', cure)
}

/** Null for what is not PEM of this kind; node:crypto throws at it. */
function parsed<T>(pem: string, parse: (pem: string) => T | null): T | null {
  try {
    return parse(pem)
  } catch {
    return null
  }
}

function refused(message: string, cure: string): { kind: 'refused'; finding: Finding } {
  return { kind: 'refused', finding: { message, cure } }
}
