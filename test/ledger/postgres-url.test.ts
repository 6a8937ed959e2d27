import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePostgresUrl } from '../../src/ledger/postgres-url.ts'

function target(url: string) {
  const parsed = parsePostgresUrl(url)
  if (parsed.kind === 'problem') throw new Error(parsed.message)
  return parsed.target
}

function problem(url: string): string {
  const parsed = parsePostgresUrl(url)
  if (parsed.kind === 'target') throw new Error('It was accepted.')
  return `${parsed.message}: ${parsed.cure}`
}

describe('a PostgreSQL URL', () => {
  it('says where and as whom', () => {
    const url = 'postgres://gate%40way:p%2Fass%3Fw%23rd%25@db.example.com:6432/fare%20box'
    expect(target(url)).toMatchObject({
      name: 'db.example.com:6432/fare box',
      host: 'db.example.com',
      port: 6432,
      database: 'fare box',
      user: 'gate@way',
      password: 'p/ass?w#rd%',
      tls: null,
      applicationName: 'farebox',
    })
  })

  it.each([
    ['postgresql://u@[::1]/d', { host: '::1', name: '::1:5432/d' }],
    ['postgres://u@/d?host=/var/run/postgresql', { host: '/var/run/postgresql' }],
    ['postgres://u@h', { database: undefined, name: 'h:5432/u' }],
    ['postgres://h/d?options=-c%20search_path%3Dx', { serverOptions: '-c search_path=x' }],
    ['postgres://h/d?application_name=till', { applicationName: 'till' }],
    ['postgres://h/d?channel_binding=require', { channelBinding: true }],
    ['postgres://h/d?target_session_attrs=read-write', { channelBinding: false }],
  ])('reads %s', (url, expected) => {
    expect(target(url)).toMatchObject(expected)
  })

  it.each([
    ['sslmode=disable', null],
    ['sslmode=no-verify', { verify: 'none' }],
    ['sslmode=require', { verify: 'full', rootCertificate: null }],
    ['sslmode=verify-full&sslrootcert=system', { verify: 'full', rootCertificate: null }],
    ['sslmode=verify-ca&sslrootcert=/ca.pem', { verify: 'chain', rootCertificate: '/ca.pem' }],
    ['sslmode=require&sslcert=/c&sslkey=/k', { certificate: '/c', key: '/k' }],
  ])('takes %s', (parameters, tls) => {
    const found = target(`postgres://h/d?${parameters}`).tls
    if (tls === null) expect(found).toBeNull()
    else expect(found).toMatchObject(tls)
  })

  it.each([
    ['sslmode=prefer', 'sslmode'],
    ['sslmode=allow', 'sslmode'],
    ['sslmode=verify-ca', 'sslrootcert'],
    ['ssl=true', 'unknown parameter "ssl"'],
  ])('refuses %s', (parameters, word) => {
    expect(problem(`postgres://h/d?${parameters}`)).toContain(word)
  })

  it.each([
    'mysql://u:hush@h/d',
    'postgres:hush@h/d',
    'postgres://u:hu/sh@h/d',
    'postgres://u:hush%@h/d',
    'postgres://u:hush@h1,h2/d',
    'postgres://u:hush@/d',
    'postgres://u:hush@h/d?sslmode=maybe',
    'hush',
    '',
  ])('refuses %s without repeating it', url => {
    expect(problem(url)).not.toMatch(/hush|hu\/sh/)
  })

  it('throws at nothing', () => {
    const pieces = ['postgres://', 'u', ':', '@', '/', '?', '&', '=', '%', '%2f', '[', ']', 'host=']
    const anything = fc.array(fc.oneof(fc.constantFrom(...pieces, 'sslmode='), fc.string()))
    fc.assert(
      fc.property(anything, parts => {
        const url = `postgres://${parts.join('')}`
        expect(['target', 'problem']).toContain(parsePostgresUrl(parts.join('')).kind)
        expect(['target', 'problem']).toContain(parsePostgresUrl(url).kind)
      }),
    )
  })
})
