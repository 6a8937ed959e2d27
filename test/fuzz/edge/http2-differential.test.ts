import { once } from 'node:events'
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Certificate } from '../../support/certificates.ts'
import { expectAgreement, readCourse } from './course.ts'
import { fuzzEdge } from './differential.ts'

const protocol = 'HTTP/2'
const { seconds: whole, seed } = readCourse()
/** HTTP/1.1 has the more ways to be misread. */
const seconds = Math.max(4, whole / 3)

test(
  'whatever frames come, the upstream sees no request that nobody sent or that parsers disagree about',
  async () => {
    await expectAgreement(protocol, { seconds, seed })
  },
  seconds * 1_000 + 30_000,
)

/** What a translator takes for a request that has ended. */
type Takes = (stream: ServerHttp2Stream, path: string) => boolean

test.each<[string, Takes]>([
  ['takes what was given up for what has ended', (_, path) => path === '/free/a'],
  ['hands on a path as it stands', stream => stream.rstCode === 0],
])(
  'a proxy that %s is found out',
  async (_, takes) => {
    const instead = (upstream: string, certificate: Certificate) =>
      startTranslator(upstream, certificate, takes)
    await expect(fuzzEdge({ protocol, seconds: 15, seed, instead })).rejects.toMatchObject({
      cause: { name: 'DisagreementError' },
    })
  },
  30_000,
)

/** Writes each request of HTTP/2 down in HTTP/1.1. Resolves to its URL. */
async function startTranslator(
  upstream: string,
  certificate: Certificate,
  takes: Takes,
): Promise<string> {
  const { hostname: host, port } = new URL(upstream)
  const server = createSecureServer(certificate)
  server.on('sessionError', () => {})
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {})
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => {
      const { ':method': method, ':path': path = '' } = headers
      if (!takes(stream, path)) return
      const body = Buffer.concat(chunks)
      const fields = `Host: shop.test\r\nContent-Length: ${body.length}\r\n\r\n`
      const socket = connect({ host, port: Number(port) })
      socket.on('error', () => {})
      socket.write(`${method} ${path} HTTP/1.1\r\n${fields}`, 'latin1')
      socket.write(body)
      socket.once('data', () => {
        if (!stream.destroyed) stream.respond({ ':status': 200 }, { endStream: true })
        socket.destroy()
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}
