import type { UnixMs } from '../core/time.ts'

/** What `server.tls` names, as it was read: a configuration and its certificate come together. */
export interface TlsConfig {
  /** PEM: the certificate, then its chain. */
  readonly cert: string
  /** PEM. Never logged. */
  readonly key: string
  /** PEM of the authorities whose client certificates count; null: nobody is asked for one. */
  readonly clientCa: string | null
  /** When the certificate ends. */
  readonly notAfter: UnixMs
}
