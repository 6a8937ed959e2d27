import { describe, expect, test } from 'vitest'
import { valuesOf } from '../support/raw-client.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { get, onStop, serveUpstream, stopAfterEach } from './harness.ts'

stopAfterEach()

async function answerOf(head: string) {
  const upstream = await startRawUpstream(socket => socket.end(head))
  onStop(() => upstream.close())
  const client = await (await serveUpstream(upstream.url)).connect()
  client.send(get('/'))
  return client.read()
}

describe('a header of an upstream cannot become two', () => {
  test.each([
    ['a bare CR', 'X-A: a\rSet-Cookie: evil=1\r\n'],
    ['a bare LF', 'X-A: a\nSet-Cookie: evil=1\r\n'],
    ['a folded line', 'X-A: a\r\n Set-Cookie: evil=1\r\n'],
    ['a NUL', 'X-A: a\0Set-Cookie: evil=1\r\n'],
    ['a space in its name', 'X-A Set-Cookie: evil=1\r\n'],
    ['bytes that end in a line break when cut to eight bits', 'X-A: a\u010dSet-Cookie: evil=1\r\n'],
  ])('by %s', async (_name, header) => {
    const answer = await answerOf(`HTTP/1.1 200 OK\r\n${header}Content-Length: 2\r\n\r\nok`)
    expect(valuesOf(answer, 'set-cookie')).toEqual([])
    expect([200, 502]).toContain(answer.status)
  })

  test('and its bytes beyond ASCII stay what they were', async () => {
    const name = Buffer.from('č').toString('latin1')
    const head = Buffer.from(
      `HTTP/1.1 200 OK\r\nX-A: ${name}\r\nContent-Length: 2\r\n\r\nok`,
      'latin1',
    )
    const upstream = await startRawUpstream(socket => socket.end(head))
    onStop(() => upstream.close())
    const client = await (await serveUpstream(upstream.url)).connect()
    client.send(get('/'))
    expect(valuesOf(await client.read(), 'x-a')).toEqual([name])
  })
})
