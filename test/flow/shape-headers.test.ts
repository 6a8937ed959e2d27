import { expect, test } from 'vitest'
import type { HeaderChanges } from '../../src/config/shaping-config.ts'
import { StoredBody } from '../../src/flow/kept-body.ts'
import { compileHeaderShaping, type HeaderShaping } from '../../src/flow/shape-headers.ts'
import { collect } from '../upstream/harness.ts'

const nothing: HeaderChanges = { set: {}, remove: [] }

function shaping(request: Partial<HeaderChanges>, response: Partial<HeaderChanges>): HeaderShaping {
  const config = { request: { ...nothing, ...request }, response: { ...nothing, ...response } }
  const compiled = compileHeaderShaping(config)
  if (compiled === null) throw new Error('There is nothing to shape.')
  return compiled
}

test('a route that changes nothing has nothing to do', () => {
  expect(compileHeaderShaping({ request: nothing, response: nothing })).toBeNull()
})

test('what is set or removed goes in every spelling that a server could read as it', () => {
  const { request, added } = shaping({ set: { 'x-tenant': 'a' }, remove: ['cookie'] }, {})
  const sent = ['X_Tenant', 'b', 'x.tenant', 'c', 'Cookie', 'd', 'accept', 'e', 'x-tenants', 'f']
  expect(request(sent)).toEqual(['accept', 'e', 'x-tenants', 'f'])
  expect(added).toEqual(['x-tenant', 'a'])
})

test('an answer gets what is set and loses what is removed', () => {
  const { response } = shaping({}, { set: { server: 'x' }, remove: ['set-cookie'] })
  const sent = ['Server', 'node', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'ETag', '"1"']
  expect(response(sent)).toEqual(['ETag', '"1"', 'server', 'x'])
})

test('a removed header does not come as a trailer instead', async () => {
  const { body } = shaping({}, { remove: ['x-internal'] })
  const stored = new StoredBody(Buffer.from('all'), ['X-Internal', '1', 'X-Checksum', '2'])
  const collected = await collect(body(stored))
  expect(String(collected.bytes)).toBe('all')
  expect(collected.trailers).toEqual(['X-Checksum', '2'])
})

test('an answer that ends with its head still does', () => {
  const { body } = shaping({}, { remove: ['x-internal'] })
  expect(body(new StoredBody(Buffer.alloc(0), [])).isEmpty).toBe(true)
  expect(body(new StoredBody(Buffer.from('all'), [])).isEmpty).toBe(false)
})
