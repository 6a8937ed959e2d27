import type { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { unixMs } from '../core/time.ts'
import { type PemFile, readCertificates, readPrivateKey } from './certificate-files.ts'
import type { CheckContext } from './check-context.ts'
import type { Settings } from './schema.ts'
import type { TlsConfig } from './tls-config.ts'

const PATH = ['server', 'tls']

/** Null where there is none, and where something is wrong with it. */
export function checkTls({ server }: Settings, context: CheckContext): TlsConfig | null {
  const { tls } = server
  if (tls === undefined) return null
  const { directory } = context
  const chain = take(readCertificates(tls.cert, directory), 'cert', context)
  const key = take(readPrivateKey(tls.key, directory), 'key', context)
  const authorities =
    tls.clientCa === undefined
      ? null
      : take(readCertificates(tls.clientCa, directory), 'clientCa', context)
  if (chain === null) return null
  const [own, ...above] = chain.value
  checkTime(own, context)
  checkOrder(own, above[0], context)
  if (key === null) return null
  if (!own.checkPrivateKey(key.value)) {
    const message = 'is not the key of the certificate in server.tls.cert'
    context.report([...PATH, 'key'], { message, cure: 'Name the two files that belong together.' })
    return null
  }
  const checked: TlsConfig = {
    cert: chain.pem,
    key: key.pem,
    clientCa: authorities?.pem ?? null,
    notAfter: unixMs(Date.parse(own.validTo)),
  }
  checkUsable(checked, context)
  return checked
}

function take<T>(
  file: PemFile<T>,
  name: 'cert' | 'key' | 'clientCa',
  context: CheckContext,
): Extract<PemFile<T>, { kind: 'read' }> | null {
  if (file.kind === 'read') return file
  context.report([...PATH, name], file.finding)
  return null
}

function checkTime({ validFrom, validTo }: X509Certificate, context: CheckContext): void {
  const now = Date.now()
  const path = [...PATH, 'cert']
  if (Date.parse(validTo) <= now) {
    const message = `names a certificate that expired on ${validTo}`
    context.report(path, { message, cure: 'Renew it; callers refuse to talk to this one.' })
  } else if (Date.parse(validFrom) > now) {
    const message = `names a certificate that is valid only from ${validFrom}`
    context.report(path, { message, cure: "Wait until then, or correct this machine's clock." })
  }
}

/** Clients that hold nothing but roots follow the file from the certificate upwards. */
function checkOrder(
  own: X509Certificate,
  next: X509Certificate | undefined,
  context: CheckContext,
): void {
  if (next === undefined || own.checkIssued(next)) return
  const message = 'names a file whose second certificate has not signed the first'
  const cure = 'Write the certificate first, then the one that has signed it, and so on.'
  context.report([...PATH, 'cert'], { message, cure })
}

/** OpenSSL has an opinion of its own, as about keys that are too short. */
function checkUsable({ cert, key, clientCa }: TlsConfig, context: CheckContext): void {
  try {
    createSecureContext({ cert, key, ...(clientCa === null ? {} : { ca: clientCa }) })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
    const message = `names a certificate or a key that OpenSSL does not take (${code})`
    context.report([...PATH, 'cert'], { message, cure: 'Issue it anew with an ordinary key.' })
  }
}
