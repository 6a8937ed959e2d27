import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

const BODY_BYTES_MAX = 16 * 1024 ** 2

export interface LocalServer {
  readonly url: string
  /** Drops every connection, so that a test that left one open does not hang. */
  close(): Promise<void>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** Serves on a free port of 127.0.0.1. A handler that rejects ends its connection. */
export async function serveLocally(handler: Handler): Promise<LocalServer> {
  const server = createServer((request, response) => {
    handler(request, response).catch(error => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

export type JsonBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'not-json' }

/** Reads a request's body, up to one megabyte, as JSON. */
export async function readJson(request: IncomingMessage): Promise<JsonBody> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    // Read on: left in its connection, the rest would stand before the next request.
    if (size <= BODY_BYTES_MAX) chunks.push(chunk)
  }
  if (size > BODY_BYTES_MAX) return { kind: 'not-json' }
  try {
    return { kind: 'json', value: JSON.parse(Buffer.concat(chunks).toString()) }
  } catch {
    return { kind: 'not-json' }
  }
}
