import type { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { type UnixMs, unixMs } from '../core/time.ts'
import { type PemFile, readCertificates, readPrivateKey } from './certificate-files.ts'
import type { CheckContext } from './check-context.ts'
import type { Path } from './problems.ts'

/** A certificate and its key, as they were read. */
export interface KeyPair {
  /** PEM: the certificate, then its chain. */
  readonly cert: string
  /** PEM. Never logged. */
  readonly key: string
  /** When the certificate ends. */
  readonly notAfter: UnixMs
}

/**
 * Reads the two files that belong together. Null where something is wrong with one.
 *
 * @param named Names of the files, from under `path`.
 */
export function checkKeyPair(
  named: { readonly cert: string; readonly key: string },
  path: Path,
  context: CheckContext,
): KeyPair | null {
  const { directory } = context
  const chain = takeFile(readCertificates(named.cert, directory), [...path, 'cert'], context)
  const key = takeFile(readPrivateKey(named.key, directory), [...path, 'key'], context)
  if (chain === null) return null
  const [own, ...above] = chain.value
  checkTime(own, [...path, 'cert'], context)
  checkOrder(own, above[0], [...path, 'cert'], context)
  if (key === null) return null
  if (!own.checkPrivateKey(key.value)) {
    const message = `is not the key of the certificate in ${path.join('.')}.cert`
    context.report([...path, 'key'], { message, cure: 'Name the two files that belong together.' })
    return null
  }
  const pair = { cert: chain.pem, key: key.pem, notAfter: unixMs(Date.parse(own.validTo)) }
  checkUsable(pair, [...path, 'cert'], context)
  return pair
}

/** Null where it was refused, which is reported. */
export function takeFile<T>(
  file: PemFile<T>,
  path: Path,
  context: CheckContext,
): Extract<PemFile<T>, { kind: 'read' }> | null {
  if (file.kind === 'read') return file
  context.report(path, file.finding)
  return null
}

function checkTime(
  { validFrom, validTo }: X509Certificate,
  path: Path,
  context: CheckContext,
): void {
  const now = Date.now()
  if (Date.parse(validTo) <= now) {
    const message = `names a certificate that expired on ${validTo}`
    context.report(path, { message, cure: 'Renew it; the other side refuses to talk to this one.' })
  } else if (Date.parse(validFrom) > now) {
    const message = `names a certificate that is valid only from ${validFrom}`
    context.report(path, { message, cure: "Wait until then, or correct this machine's clock." })
  }
}

/** Who holds nothing but roots follows the file from the certificate upwards. */
function checkOrder(
  own: X509Certificate,
  next: X509Certificate | undefined,
  path: Path,
  context: CheckContext,
): void {
  if (next === undefined || own.checkIssued(next)) return
  const message = 'names a file whose second certificate has not signed the first'
  const cure = 'Write the certificate first, then the one that has signed it, and so on.'
  context.report(path, { message, cure })
}

/** OpenSSL has an opinion of its own, as about keys that are too short. */
function checkUsable({ cert, key }: KeyPair, path: Path, context: CheckContext): void {
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
    const message = `names a certificate or a key that OpenSSL does not take (${code})`
    context.report(path, { message, cure: 'Issue it anew with an ordinary key.' })
  }
}
