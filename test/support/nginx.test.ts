import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Nginx, startNginx, whyNoNginx } from './nginx.ts'

const missing = whyNoNginx()

describe.skipIf(missing !== null)(`nginx${missing === null ? '' : `: ${missing}`}`, () => {
  let nginx: Nginx

  beforeAll(async () => {
    nginx = await startNginx(['host', 'x-payment'])
  })
  afterAll(() => nginx.close())

  /** Sends bytes on one connection, and waits until nginx ends it. */
  async function read(bytes: string) {
    const client = connect({ path: nginx.socket })
    client.resume()
    client.write(Buffer.from(bytes, 'latin1'))
    await once(client, 'close')
    return nginx.take()
  }

  test('writes down each request as it read it: method, target, body and headers', async () => {
    const seen = await read(
      'GET /a%2Fb?"c=\\d\xe9 HTTP/1.1\r\nHost: one\r\nX_Payment: p\r\n\r\n' +
        'POST //x HTTP/1.1\r\nHost: two\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na"\0\r\n0\r\n\r\n' +
        'PUT /last HTTP/1.1\r\nHost: three\r\nConnection: close\r\nContent-Length: 2\r\n\r\n\xffz',
    )
    expect(seen).toEqual([
      {
        ...{ method: 'GET', target: '/a%2Fb?"c=\\d\xe9', body: '', status: 200 },
        headers: new Map([
          ['host', 'one'],
          ['x-payment', 'p'],
        ]),
      },
      {
        ...{ method: 'POST', target: '//x', body: 'a"\0', status: 200 },
        headers: new Map([['host', 'two']]),
      },
      {
        ...{ method: 'PUT', target: '/last', body: '\xffz', status: 200 },
        headers: new Map([['host', 'three']]),
      },
    ])
  })

  test('reads what node:http would refuse its own way, and refuses what it does not read', async () => {
    const bare = await read('GET /bare HTTP/1.1\nHost: lf\nConnection: close\n\n')
    expect(bare).toMatchObject([{ method: 'GET', target: '/bare', status: 200 }])
    const before = await nginx.refused()
    await read('GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n')
    expect(await nginx.refused()).toBe(before + 1)
  })
})
