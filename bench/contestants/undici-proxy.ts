/** The shortest proxy over undici that streams and keeps what is for one hop on that hop. */
import { createServer, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'

const [port, upstream = ''] = process.argv.slice(2)
const pool = new Pool(upstream, { connections: 128 })
const ONE_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host', 'te'])

const server = createServer((request, response) => {
  const hasBody =
    request.headers['content-length'] !== undefined ||
    request.headers['transfer-encoding'] !== undefined
  const options = {
    method: request.method as Dispatcher.HttpMethod, // undici sends whatever token it gets
    path: request.url ?? '/',
    headers: endToEnd(request.rawHeaders),
    body: hasBody ? request : null,
  }
  pool.dispatch(options, toClient(response))
})
server.keepAliveTimeout = 75_000
server.listen(Number(port), '127.0.0.1')

function toClient(response: ServerResponse): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      response.once('close', () => {
        if (!response.writableFinished) controller.abort(new Error('The client went away.'))
      })
    },
    onResponseStart(controller, status) {
      const raw = controller.rawHeaders
      const headers = Array.isArray(raw) ? raw.map(text => text.toString('latin1')) : []
      response.writeHead(status, endToEnd(headers))
    },
    onResponseData(controller, chunk) {
      if (response.write(chunk)) return
      controller.pause()
      response.once('drain', () => controller.resume())
    },
    onResponseEnd: () => void response.end(),
    onResponseError() {
      if (response.headersSent) response.destroy()
      else response.writeHead(502).end()
    },
  }
}

function endToEnd(raw: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (!ONE_HOP.has(name.toLowerCase())) kept.push(name, raw[index + 1] ?? '')
  }
  return kept
}
