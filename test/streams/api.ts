import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

/** What every range and condition is about. */
export const WHOLE = 'abcdefghijklmnopqrstuvwxyz'
export const ETAG = '"one"'
/** Compressed once: whoever decompressed it on the way would change its bytes. */
export const GZIPPED = gzipSync(WHOLE.repeat(40))

export interface StreamsApi {
  readonly url: string
  /** Oldest first. */
  readonly requests: IncomingMessage[]
  close(): Promise<void>
}

/** An API that answers as RFC 9110 asks of it: with ranges, conditions and every kind of framing. */
export async function startStreamsApi(): Promise<StreamsApi> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    const path = request.url?.split('?', 1)[0] ?? ''
    const answer = ANSWERS[path]
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const ANSWERS: Readonly<Record<string, Handler>> = {
  '/file': answerFile,
  '/redirect': (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(),
  '/204': (_, response) => response.writeHead(204).end(),
  '/205': (_, response) => response.writeHead(205, { 'content-length': 0 }).end(),
  '/gzip': (_, response) => {
    const headers = { 'content-encoding': 'gzip', vary: 'Accept-Encoding', etag: 'W/"gz"' }
    response.writeHead(200, { ...headers, 'content-type': 'application/json' })
    response.end(GZIPPED)
  },
  '/trailers': (_, response) => {
    response.writeHead(200, { trailer: 'X-Checksum' })
    response.write(WHOLE)
    response.addTrailers({
      'X-Checksum': 'abc',
      'Cache-Control': 'public',
      'PAYMENT-RESPONSE': 'forged',
    })
    response.end()
  },
  '/hints': (_, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    setImmediate(() => response.writeHead(200, { etag: ETAG }).end(WHOLE))
  },
  '/continue': (_, response) => {
    response.writeContinue()
    setImmediate(() => response.end(WHOLE))
  },
  '/chunks': (_, response) => {
    response.write('one ')
    setImmediate(() => response.end('two'))
  },
  '/echo': (request, response) => void request.pipe(response),
}

function answerFile(request: IncomingMessage, response: ServerResponse): void {
  const { headers } = request
  const known = { etag: ETAG, 'accept-ranges': 'bytes' }
  if (headers['if-match'] !== undefined && headers['if-match'] !== ETAG) {
    response.writeHead(412, known).end()
    return
  }
  if (headers['if-none-match'] === ETAG) {
    response.writeHead(304, { ...known, 'cache-control': 'max-age=60' }).end()
    return
  }
  const isSame = headers['if-range'] === undefined || headers['if-range'] === ETAG
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []
  if (from === undefined || to === undefined || !isSame) {
    response.writeHead(200, { ...known, 'content-length': WHOLE.length }).end(WHOLE)
    return
  }
  if (Number(from) >= WHOLE.length) {
    response.writeHead(416, { ...known, 'content-range': `bytes */${WHOLE.length}` }).end()
    return
  }
  const part = WHOLE.slice(Number(from), Number(to) + 1)
  const range = { 'content-range': `bytes ${from}-${to}/${WHOLE.length}` }
  response.writeHead(206, { ...known, ...range, 'content-length': part.length }).end(part)
}
