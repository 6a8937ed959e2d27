import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Counted, countBody, sendBody } from './bodies.ts'

export interface LargeApi {
  readonly url: string
  /** Bytes of the last download that were handed to the connection. */
  readonly handedOver: number
  /** The streams that are open, oldest first; nobody writes to them but the test. */
  readonly streams: ServerResponse[]
  /** The next stream. */
  nextStream(): Promise<ServerResponse>
  /** The head of the next upload, before its body is read. */
  nextUpload(): Promise<IncomingMessage>
  close(): Promise<void>
}

/**
 * An API of long bodies. `/download/<how>` sends `size` bytes of known length or in chunks,
 * `/upload` counts what it gets, `/hold` leaves the body to the test, `/events` is an event stream.
 * The same under `/paid`.
 */
export async function startLargeApi(size: number): Promise<LargeApi> {
  const streams: ServerResponse[] = []
  const streamWaiters: ((response: ServerResponse) => void)[] = []
  const uploadWaiters: ((request: IncomingMessage) => void)[] = []
  let handedOver = 0

  const server = createServer((request, response) => {
    const pathname = request.url?.replace('/paid', '') ?? ''
    response.on('error', () => {})
    if (pathname.startsWith('/download/')) {
      response.writeHead(200, pathname.endsWith('/chunked') ? {} : { 'content-length': size })
      sendBody(response, size, sent => {
        handedOver = sent
      }).catch(() => response.destroy())
    } else if (pathname.startsWith('/upload')) {
      uploadWaiters.shift()?.(request)
      countBody(request).then(
        counted => response.end(JSON.stringify(counted)),
        () => response.destroy(),
      )
    } else if (pathname.startsWith('/hold')) {
      uploadWaiters.shift()?.(request)
      request.once('end', () => response.end())
    } else {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      streams.push(response)
      response.once('close', () => streams.splice(streams.indexOf(response), 1))
      streamWaiters.shift()?.(response)
    }
  })
  server.requestTimeout = 0
  server.listen(0, '127.0.0.1', 8192)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    streams,
    get handedOver() {
      return handedOver
    },
    nextStream: () => new Promise(resolve => void streamWaiters.push(resolve)),
    nextUpload: () => new Promise(resolve => void uploadWaiters.push(resolve)),
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

export function readCounted(text: string): Counted {
  return JSON.parse(text) as Counted // what /upload answers
}
