import { Gauge, type Registry } from 'prom-client'
import type { UnixMs } from '../core/time.ts'

/** @param notAfter Asked at every scrape: the end of the certificate in force. */
export function registerCertificate(registry: Registry, notAfter: () => UnixMs | null): void {
  const gauge: Gauge = new Gauge({
    name: 'farebox_tls_certificate_not_after_seconds',
    help: 'When the certificate that callers are served with ends, in seconds since 1970.',
    // A worker that has not taken the new one yet is the one to worry about.
    aggregator: 'min',
    registers: [registry],
    collect: () => gauge.set(Math.floor((notAfter() ?? 0) / 1000)),
  })
}
