import { expect, test } from 'vitest'
import { get, post, serve, stopAfterEach, textReply } from './harness.ts'

stopAfterEach()

const answerStatus = (text: Buffer): string | undefined =>
  /^HTTP\/1\.1 (\d{3})/.exec(text.toString('latin1'))?.[1]

test('a head that never ends is answered with 408', async () => {
  const server = await serve(() => textReply(''), { limits: { requestTimeoutMs: 200 } })
  const client = await server.connect()
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  expect(answerStatus(await client.readToEnd())).toBe('408')
})

test('a body that never ends is answered with 408', async () => {
  const server = await serve(
    async exchange => {
      await exchange.readBody(1_000)
      return textReply('')
    },
    { limits: { requestTimeoutMs: 200 } },
  )
  const client = await server.connect()
  client.send(post('Content-Length: 10', 'slow'))
  expect(answerStatus(await client.readToEnd())).toBe('408')
})

test('a long answer that nobody reads is given up', async () => {
  const body = Buffer.alloc(32 * 1024 * 1024)
  const server = await serve(() => ({ ...textReply(''), body }), { stallMsMax: 200 })
  const client = await server.connect()
  client.send(get('/'))
  await expect.poll(() => server.deliveries, { timeout: 5_000 }).toEqual(['aborted'])
})

test('connections beyond the limit are closed, and those within it are served', async () => {
  const server = await serve(() => textReply('ok'), { limits: { connections: 1 } })
  const first = await server.connect()
  first.send(get('/'))
  expect((await first.read()).status).toBe(200)
  const second = await server.connect()
  expect(await second.readToEnd()).toHaveLength(0)
  first.send(get('/'))
  expect((await first.read()).status).toBe(200)
  first.destroy()
  await expect
    .poll(async () => {
      const next = await server.connect()
      next.send(get('/', 'Connection: close\r\n'))
      return (await next.readToEnd()).length
    })
    .toBeGreaterThan(0)
})
