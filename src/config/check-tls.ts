import { readCertificates } from './certificate-files.ts'
import type { CheckContext } from './check-context.ts'
import { checkKeyPair, takeFile } from './check-key-pair.ts'
import type { Settings } from './schema.ts'
import type { TlsConfig } from './tls-config.ts'

const PATH = ['server', 'tls']

/** Null where there is none, and where something is wrong with it. */
export function checkTls({ server }: Settings, context: CheckContext): TlsConfig | null {
  const { tls } = server
  if (tls === undefined) return null
  const pair = checkKeyPair(tls, PATH, context)
  const authorities =
    tls.clientCa === undefined
      ? null
      : takeFile(readCertificates(tls.clientCa, context.directory), [...PATH, 'clientCa'], context)
  return pair === null ? null : { ...pair, clientCa: authorities?.pem ?? null }
}
