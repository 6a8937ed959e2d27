import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import {
  AdminListenError,
  type AdminOptions,
  type AdminServer,
  startAdmin,
} from '../../src/http/admin.ts'

const running: AdminServer[] = []

async function start(options: Partial<AdminOptions> = {}): Promise<AdminServer> {
  const admin = await startAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    metrics: async () => 'farebox_build_info 1\n',
    readiness: async () => ({ ready: true, reasons: [] }),
    ...options,
  })
  running.push(admin)
  return admin
}

afterEach(async () => {
  await Promise.all(running.splice(0).map(admin => admin.close()))
})

test('/metrics is what Prometheus reads', async () => {
  const { url } = await start()
  const response = await fetch(`${url}/metrics`)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.text()).toBe('farebox_build_info 1\n')
})

test('/healthz says that the process lives, even while it is not ready', async () => {
  const { url } = await start({ readiness: async () => ({ ready: false, reasons: ['draining'] }) })
  expect((await fetch(`${url}/healthz?probe=1`)).status).toBe(200)
})

test('/readyz follows readiness and gives the reasons', async () => {
  let ready = true
  const { url } = await start({
    readiness: async () => ({ ready, reasons: ['the store is down'] }),
  })
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  ready = false
  const response = await fetch(`${url}/readyz`)
  expect(response.status).toBe(503)
  expect(await response.json()).toEqual({ ready: false, reasons: ['the store is down'] })
})

test('HEAD gets the head only', async () => {
  const { url } = await start()
  const response = await fetch(`${url}/metrics`, { method: 'HEAD' })
  expect(response.headers.get('content-length')).toBe('21')
  expect(await response.text()).toBe('')
})

test.each(['/', '/metrics/', '/metricsx', '/admin', '/__proto__', '//metrics'])(
  '%s is not there',
  async path => {
    const { url } = await start()
    expect((await fetch(url + path)).status).toBe(404)
  },
)

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is not allowed', async method => {
  const { url } = await start()
  const response = await fetch(`${url}/healthz`, { method })
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe('GET, HEAD')
})

describe('failures', () => {
  test('metrics that cannot be collected are a 500 that tells nothing, and the server lives', async () => {
    const { url } = await start({ metrics: () => Promise.reject(new Error('secret')) })
    const response = await fetch(`${url}/metrics`)
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('secret')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('a body that nobody asked for ends the connection instead of being read', async () => {
    const { url } = await start()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write('POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
    const reply = await text(socket)
    expect(reply).toMatch(/^HTTP\/1\.1 405 /)
    expect(reply).toContain('Connection: close')
  })

  test('a taken port is an error with a cure', async () => {
    const { url } = await start()
    const second = start({ listen: { host: '127.0.0.1', port: Number(new URL(url).port) } })
    await expect(second).rejects.toThrow(AdminListenError)
    await expect(second).rejects.toMatchObject({ code: 'admin_listen_failed' })
  })

  test('close does not wait for idle connections', async () => {
    const admin = await start()
    const socket = connect(Number(new URL(admin.url).port), '127.0.0.1')
    socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
    await new Promise(resolve => socket.once('data', resolve))
    const ended = text(socket)
    await admin.close()
    await ended
    await expect(fetch(`${admin.url}/healthz`)).rejects.toThrow()
  })
})
