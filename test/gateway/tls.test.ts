import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type Certificate,
  type CertificateAuthority,
  createAuthority,
} from '../support/certificates.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { startWeatherApi, type WeatherApi } from '../support/weather-api.ts'

let authority: CertificateAuthority
let api: WeatherApi
let gateway: TestGateway

beforeAll(async () => {
  authority = await createAuthority()
  api = await startWeatherApi()
})

afterAll(() => api.close())

beforeEach(async () => {
  api.requests.length = 0
  const pair = await authority.issue({ name: 'first.example' })
  gateway = await startTestGateway(yaml(), {
    watch: true,
    prepare: async folder => place(folder, pair),
  })
})

afterEach(() => gateway.close())

const yaml = () => `
server: {listen: "127.0.0.1:0", tls: {cert: tls.crt, key: tls.key}}
upstreams: {weather: {url: "${api.url}"}}
routes: {/health: free}
`

/** One after the other, as a renewing client does. */
function place(folder: string, { cert, key }: Certificate): void {
  for (const [name, text] of Object.entries({ 'tls.crt': cert, 'tls.key': key })) {
    writeFileSync(join(folder, `${name}.new`), text)
    renameSync(join(folder, `${name}.new`), join(folder, name))
  }
}

async function secured(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { hostname: host, port } = new URL(gateway.url)
  const socket = connect({ host, port: Number(port), ca: authority.cert, ...options })
  await once(socket, 'secureConnect')
  return socket
}

async function nameShown(): Promise<string | undefined> {
  const socket = await secured()
  const name = socket.getPeerCertificate().subject.CN
  socket.destroy()
  return String(name)
}

const ask = async (client: RawClient): Promise<number> => {
  client.send('GET /health HTTP/1.1\r\nHost: first.example\r\n\r\n')
  return (await client.read()).status
}

async function adminText(path: string): Promise<string> {
  return (await fetch(`${gateway.adminUrl}${path}`)).text()
}

describe('server.tls', () => {
  test('serves HTTPS, and tells the upstream so', async () => {
    expect(gateway.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    const client = new RawClient(await secured())
    expect(await ask(client)).toBe(200)
    expect(await ask(client)).toBe(200)
    expect(api.requests[0]?.headers).toMatchObject({
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'first.example',
    })
    client.destroy()
  })

  test('tells when its certificate ends', async () => {
    const metrics = await adminText('/metrics')
    const [, seconds] = /^farebox_tls_certificate_not_after_seconds (\d+)$/m.exec(metrics) ?? []
    expect(Number(seconds) * 1000).toBeGreaterThan(Date.now())
    // It is valid for a day, which somebody should have renewed.
    expect(await adminText('/readyz')).toContain('the certificate of server.tls ends on')
  })

  test('shows a renewed certificate to new connections, and leaves the old ones alone', async () => {
    const old = new RawClient(await secured())
    expect(await ask(old)).toBe(200)
    place(dirname(gateway.configFile), await authority.issue({ name: 'second.example' }))
    await expect.poll(nameShown).toBe('second.example')
    expect(await ask(old)).toBe(200)
    old.destroy()
  })

  test('keeps its certificate when the new one is bad, and says so until it is good', async () => {
    const stranger = await authority.issue({ name: 'second.example' })
    const folder = dirname(gateway.configFile)
    writeFileSync(join(folder, 'tls.crt'), stranger.cert)
    expect(await gateway.reload()).toMatchObject({
      kind: 'refused',
      problems: [expect.stringMatching(/gateway\.yaml:\d+:\d+: server\.tls\.key: is not the key/)],
    })
    expect(await nameShown()).toBe('first.example')
    expect(await adminText('/readyz')).toContain('server.tls.key: is not the key')
    expect(await adminText('/metrics')).toContain('farebox_config_last_reload_success 0')
    expect(gateway.logs).toContainEqual(expect.objectContaining({ level: 'error' }))
    place(folder, stranger)
    expect(await gateway.reload()).toEqual({ kind: 'reloaded' })
    expect(await nameShown()).toBe('second.example')
    expect(await adminText('/metrics')).toContain('farebox_config_last_reload_success 1')
  })

  test('cannot be taken away while the listener is open', async () => {
    await gateway.write(yaml().replace(/, tls: \{.*?\}/, ''))
    expect(await gateway.reload()).toMatchObject({
      kind: 'refused',
      problems: [expect.stringContaining('server.tls')],
    })
    expect(await nameShown()).toBe('first.example')
  })

  test('refuses what is older than TLS 1.2', async () => {
    const old = secured({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0' })
    await expect(old).rejects.toThrow(/alert protocol version|unsupported protocol/)
    const least = await secured({ maxVersion: 'TLSv1.2' })
    expect(least.getProtocol()).toBe('TLSv1.2')
    least.destroy()
  })
})
