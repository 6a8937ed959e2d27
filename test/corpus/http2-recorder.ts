import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { type Recorder, recorderAt, type Seen } from './recorders.ts'

/** An upstream over HTTP/2, by prior knowledge, that answers everything with 200. */
export async function startHttp2Recorder(): Promise<Recorder> {
  const seen: Seen[] = []
  let begun = 0
  let refused = 0
  const server = createServer()
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', session => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  server.on('sessionError', () => refused++)
  server.on('stream', (...[stream, headers, , rawHeaders]: StreamEvent) => {
    begun++
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      // A stream that was reset ends as well.
      if (stream.aborted || stream.rstCode !== 0) return
      const { ':method': method = '', ':path': target = '' } = headers
      seen.push({ method, target, rawHeaders, body: Buffer.concat(chunks).toString('latin1') })
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
  })
  return recorderAt(server, {
    seen,
    begun: () => begun,
    refused: () => refused,
    cutOff() {
      for (const session of sessions) session.destroy()
    },
  })
}

type StreamEvent = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
]
