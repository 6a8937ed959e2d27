import { afterEach } from 'vitest'
import type { UpstreamConfig } from '../../src/config/gateway-config.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { type LocalServer, serveLocally } from '../support/json-server.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { upstreamAt } from './harness.ts'

interface Closable {
  close(): Promise<void>
}

const opened: Closable[] = []

/** Has `afterEach` close it, the last opened first. */
export function keepOpen<T extends Closable>(thing: T): T {
  opened.push(thing)
  return thing
}

/** Call once at the top of a test file. */
export function closeAfterEach(): void {
  afterEach(async () => {
    // Servers before their upstreams: an upstream waits for what still runs on it.
    for (const thing of opened.splice(0).reverse()) await thing.close()
  })
}

type Settings = Partial<UpstreamConfig>

/** A node:http server and an upstream that leads to it. */
export async function upstreamOf(
  handler: Parameters<typeof serveLocally>[0],
  { path = '', ...settings }: Settings & { path?: string } = {},
): Promise<[Upstream, LocalServer]> {
  const server = await serveLocally(handler)
  const upstream = keepOpen(upstreamAt(server.url + path, settings))
  return [upstream, keepOpen(server)]
}

/** A server that answers with any bytes, and an upstream that leads to it. */
export async function rawUpstreamOf(
  answer: Parameters<typeof startRawUpstream>[0],
  settings: Settings = {},
): Promise<[Upstream, RawUpstream]> {
  const server = await startRawUpstream(answer)
  const upstream = keepOpen(upstreamAt(server.url, settings))
  return [upstream, keepOpen(server)]
}
