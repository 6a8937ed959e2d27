import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
} from '../../support/gateway.ts'
import { serveLocally } from '../../support/json-server.ts'
import { startRawUpstream } from '../../support/raw-upstream.ts'
import { spawnCli } from '../run-cli.ts'
import { checkOnline, type OnlineRun, onlineYaml, type YamlParts } from './ask.ts'

const ROUTES = `  GET /v1/report: $0.25
  GET /v1/weather/{city}: $0.001
  POST /v1/job: {price: $1, settle: before-upstream, timeout: 20s, description: Ein Bericht für Zürich ☔}
  /v1/page: {price: $0.002, cors: {origins: ["https://app.example.com"]}}
  /health: free`

let world: World
let gateway: TestGateway
const opened: { close(): Promise<unknown> }[] = []

beforeAll(async () => {
  world = await startWorld()
  gateway = await startTestGateway(bodyOf({}))
})
afterEach(() => Promise.all(opened.splice(0).map(one => one.close())))
afterAll(async () => {
  await gateway.close()
  await world.close()
})

/** The file that the gateway runs on, and that is checked. */
function yamlOf(parts: Partial<YamlParts>): string {
  return onlineYaml({ facilitators: [world.facilitator.url], routes: ROUTES, ...parts })
}

function bodyOf(parts: Partial<YamlParts>): string {
  const text = yamlOf(parts).replace('version: 1\n', '')
  return text.includes('server:') ? text : `server: {listen: "127.0.0.1:0"}\n${text}`
}

async function look(
  parts: Partial<YamlParts>,
  options: Parameters<typeof checkOnline>[1] = {},
): Promise<OnlineRun & { readonly seen: OnlineRun['findings'] }> {
  const run = await checkOnline(yamlOf(parts), options)
  return { ...run, seen: run.findings.filter(({ question }) => question === 'publicUrl') }
}

type Change = (answer: Response, url: string, headers: Headers) => Promise<string> | string

/** What stands before the gateway and changes what it says. It keeps the buyers' Host. */
async function startBreakingProxy(change: Change): Promise<string> {
  const proxy = await serveLocally(async (request, response) => {
    const answer = await forward(request)
    const headers = new Headers(answer.headers)
    const body = await change(answer, request.url ?? '', headers)
    send(response, answer.status, headers, body)
  })
  opened.push(proxy)
  return proxy.url
}

function send(response: ServerResponse, status: number, headers: Headers, body: string): void {
  for (const name of ['content-length', 'transfer-encoding', 'connection']) headers.delete(name)
  response.writeHead(status, Object.fromEntries(headers))
  response.end(body)
}

/** As the gateway was asked by a buyer who knows it by the proxy's name. */
async function forward(request: IncomingMessage): Promise<Response> {
  const { method = 'GET', url = '/', headers } = request
  const sent = Object.entries(headers).filter(([name]) => !['host', 'connection'].includes(name))
  const init = { method, headers: Object.fromEntries(sent) as Record<string, string> }
  const answer = await fetch(`${gateway.url}${url}`, init)
  return answer
}

const textOf: Change = answer => answer.text()

describe('the 402 of a gateway of ours', () => {
  test('is all right for each priced route without parameters, and with CORS', async () => {
    const { code, seen } = await look({ publicUrl: gateway.url })
    expect(code).toBe(0)
    expect(
      seen.map(({ level, message }) => `${level} ${message.replace(/\d+ bytes/, 'n')}`),
    ).toEqual([
      'ok GET /v1/report: 402 with the offers of the file, n',
      'ok POST /v1/job: 402 with the offers of the file, n',
      'ok /v1/page: 402 with the offers of the file, n, CORS lets pages pay',
    ])
  })

  test('is asked for at --url, and at --path instead', async () => {
    const words = ['--url', gateway.url, '--path', '/v1/weather/z%C3%BCrich?unit=c']
    const { code, seen } = await look({}, { words })
    expect(seen.filter(({ level }) => level === 'problem')).toEqual([])
    expect(code).toBe(0)
    expect(seen).toMatchObject([
      { level: 'ok', message: expect.stringMatching(/^GET \/v1\/weather/) },
    ])
    const free = await look({}, { words: ['--url', gateway.url, '--path', '/health'] })
    expect(free.code).toBe(1)
    expect(free.seen).toMatchObject([
      { level: 'problem', message: 'no priced route takes "/health"' },
    ])
  })

  test('that runs on an older file does not have the offers of this one', async () => {
    const routes = ROUTES.replace('$0.25', '$0.30')
    const { code, seen } = await look({ publicUrl: gateway.url, routes })
    expect(code).toBe(1)
    expect(seen.filter(({ level }) => level === 'problem')).toMatchObject([
      { message: expect.stringContaining('amount "250000", not "300000"') },
    ])
  })

  test('that names itself otherwise than buyers do is told', async () => {
    const { seen } = await look({ publicUrl: gateway.url.replace('127.0.0.1', 'localhost') })
    // Without publicUrl of its own, the gateway goes by the Host that it is asked with.
    expect(seen.filter(({ level }) => level === 'problem')).toEqual([])
    const elsewhere = await look(
      { publicUrl: 'https://api.example.com' },
      { words: ['--url', gateway.url] },
    )
    expect(elsewhere.code).toBe(1)
    expect(elsewhere.seen[0]?.message).toContain('buyers ask for https://api.example.com/v1/report')
  })

  test('is not looked for where there is no public URL, nobody listens, or nothing is plain', async () => {
    expect((await look({})).seen).toMatchObject([
      { level: 'not-checked', message: 'what buyers see: there is no public URL' },
    ])
    const nobody = await startRawUpstream(() => {})
    await nobody.close()
    expect(await look({ publicUrl: nobody.url })).toMatchObject({
      code: 0,
      seen: [{ level: 'not-checked', message: expect.stringContaining('(ECONNREFUSED)') }],
    })
    // One has parameters, and nobody is asked to pay for the other.
    const routes = `  GET /v1/weather/{city}: $0.001
  POST /v1/report: {price: $0.25, mode: shadow}`
    expect((await look({ publicUrl: gateway.url, routes })).seen).toMatchObject([
      { level: 'not-checked', cure: expect.stringContaining('--path') },
    ])
  })
})

describe('something before the gateway that', () => {
  const breaks: [string, Change, RegExp][] = [
    [
      'drops PAYMENT-REQUIRED',
      (answer, _, headers) => {
        headers.delete('payment-required')
        return answer.text()
      },
      /PAYMENT-REQUIRED header is missing/,
    ],
    [
      'garbles PAYMENT-REQUIRED',
      (answer, _, headers) => {
        headers.set('payment-required', `x${headers.get('payment-required')}`)
        return answer.text()
      },
      /PAYMENT-REQUIRED header is not base64/,
    ],
    [
      'puts its own page in place of the body',
      () => '<html>Payment required</html>',
      /the body is not what x402 version 1 says/,
    ],
    [
      'changes who is paid in the body',
      async answer => (await answer.text()).replaceAll(/0x[0-9a-f]{40}/gi, `0x${'12'.repeat(20)}`),
      /the offers are not those of the file \(those of version 1\)/,
    ],
    [
      'adds headers until they are too many',
      (answer, _, headers) => {
        headers.set('content-security-policy', 'x'.repeat(8000))
        return answer.text()
      },
      /the headers of the 402 take \d+ bytes/,
    ],
    [
      'lets caches keep the 402',
      (answer, _, headers) => {
        headers.set('cache-control', 'public, max-age=60')
        return answer.text()
      },
      /Cache-Control says "public, max-age=60"/,
    ],
  ]
  test.each(breaks)('%s', async (_, change, message) => {
    const url = await startBreakingProxy(change)
    const { code, seen } = await look(
      { publicUrl: gateway.url },
      { words: ['--url', url, '--path', '/v1/report'] },
    )
    expect(code).toBe(1)
    expect(seen).toMatchObject([{ level: 'problem' }])
    expect(seen[0]?.message).toMatch(message)
  })

  test('changes nothing is not noticed', async () => {
    const url = await startBreakingProxy(textOf)
    const { code } = await look({ publicUrl: gateway.url }, { words: ['--url', url] })
    expect(code).toBe(0)
  })

  test('drops CORS headers keeps pages in browsers from paying', async () => {
    const url = await startBreakingProxy((answer, _, headers) => {
      for (const name of [...headers.keys()]) {
        if (name.startsWith('access-control-')) headers.delete(name)
      }
      return answer.text()
    })
    const { seen } = await look(
      { publicUrl: gateway.url },
      { words: ['--url', url, '--path', '/v1/page'] },
    )
    expect(seen.map(({ message }) => message)).toEqual([
      '/v1/page: CORS is on, and the 402 does not allow https://app.example.com',
      '/v1/page: CORS does not expose payment-required, payment-response, x-payment-response',
      "/v1/page: a browser's preflight is refused (status 204)",
    ])
  })
})

describe('a server that is no gateway', () => {
  const answering = async (status: number, headers: Record<string, string>, body: string) => {
    const server = await serveLocally(async (_, response) => {
      response.writeHead(status, headers)
      response.end(body)
    })
    opened.push(server)
    return server.url
  }
  const raw = async (answer: Parameters<typeof startRawUpstream>[0]): Promise<string> => {
    const server = await startRawUpstream(answer)
    opened.push(server)
    return server.url
  }
  const lookAt = (publicUrl: string) =>
    look({ publicUrl, routes: '  GET /v1/report: $0.25' }).then(({ code, seen }) => ({
      ...{ code, messages: seen.map(({ message }) => message) },
    }))

  test('redirects, gives away, refuses or fails: each is told', async () => {
    const location = 'https://example.com/\u009b2Jlogin'
    const cases = [
      [await answering(301, { location: encodeURI(location) }, ''), /answers 301 and sends buyers/],
      [await answering(200, {}, '{}'), /answers 200 without a payment: it is given away/],
      [await answering(503, {}, '{"code":"facilitator_unavailable"}'), /503 \(facilitator_unavail/],
      [await answering(404, {}, '<html>'), /answers 404 where buyers need 402/],
      [await answering(402, {}, 'x'.repeat(3 * 1024 * 1024)), /header is missing/],
    ] as const
    for (const [url, message] of cases) {
      const { code, messages } = await lookAt(url)
      expect(code).toBe(1)
      expect(messages.join('\n')).toMatch(message)
    }
  })

  test('says nothing, never ends, or speaks no HTTP: bounded, and told', async () => {
    const head = 'HTTP/1.1 402 Payment Required\r\n'
    const startedAt = performance.now()
    const endless = raw(socket => {
      socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`)
      const timer = setInterval(() => socket.write('1\r\nx\r\n'), 20)
      socket.once('close', () => clearInterval(timer))
    })
    const outcomes = await Promise.all(
      [
        await endless,
        await raw(() => {}),
        await raw(socket => socket.end('SSH-2.0-OpenSSH\r\n')),
        await raw(socket => socket.destroy()),
        await raw(socket => socket.end(`${head}X-Long: ${'x'.repeat(100_000)}\r\n\r\n`)),
      ].map(lookAt),
    )
    expect(performance.now() - startedAt).toBeLessThan(18_000)
    for (const { code, messages } of outcomes) {
      expect(code).toBe(1)
      expect(messages).toEqual([expect.stringContaining('gives no whole HTTP answer')])
    }
  }, 40_000)
})

describe('TLS', () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'farebox-tls-'))
    const openssl = (...words: string[]) =>
      execFileSync('openssl', words, { cwd: directory, stdio: 'ignore' })
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=our authority',
    )
    for (const [name, days] of [
      ['soon', '5'],
      ['long', '90'],
    ] as const) {
      const issued = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', days]
      const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
      const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`]
      openssl('req', '-x509', ...newKey, ...files, ...issued, ...subject)
    }
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  async function startTlsProxy(name: string): Promise<string> {
    const read = (file: string) => readFileSync(join(directory, file))
    const settings = { key: read(`${name}.key`), cert: read(`${name}.pem`) }
    const server = createServer(settings, async (request, response) => {
      const answer = await forward(request)
      send(response, answer.status, new Headers(answer.headers), await answer.text())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    opened.push({
      async close() {
        server.close()
        server.closeAllConnections()
      },
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return `https://127.0.0.1:${address.port}`
  }

  const trusting = (words: readonly string[]) =>
    spawnCli(words, { NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem') })
  const words = (url: string) => ['--url', url, '--path', '/v1/report']

  test('with a certificate that nobody trusts ends the look: so do buyers', async () => {
    const url = await startTlsProxy('long')
    const { code, seen } = await look({ publicUrl: gateway.url }, { words: words(url) })
    expect(code).toBe(1)
    expect(seen).toMatchObject([
      { level: 'problem', message: expect.stringMatching(/^TLS at .* is not valid \([A-Z_]+\)/) },
    ])
  })

  test('with a certificate for another name is a problem', async () => {
    const url = (await startTlsProxy('long')).replace('127.0.0.1', 'localhost')
    const { code, seen } = await look(
      { publicUrl: gateway.url },
      { words: words(url), run: trusting },
    )
    expect(code).toBe(1)
    expect(seen).toMatchObject([
      { level: 'problem', message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID') },
    ])
  })

  test('with a certificate that ends soon is a warning, and with a long one all right', async () => {
    const [soon, long] = await Promise.all(
      ['soon', 'long'].map(async name =>
        look(
          { publicUrl: gateway.url },
          { words: words(await startTlsProxy(name)), run: trusting },
        ),
      ),
    )
    expect(soon?.seen).toMatchObject([
      { level: 'warning', message: expect.stringMatching(/ends in [45] days$/) },
      { level: 'ok' },
    ])
    expect(long?.seen).toMatchObject([{ level: 'ok' }, { level: 'ok' }])
    expect([soon?.code, long?.code]).toEqual([0, 0])
  })
})
