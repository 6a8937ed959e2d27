import { expect, test } from 'vitest'
import { createUpstream } from '../../src/upstream/forward.ts'
import { createUpstreamSet } from '../../src/upstream/upstream-set.ts'
import { serveLocally } from '../support/json-server.ts'
import { configOf, requestTo, send } from './harness.ts'

test('what a reload leaves as it was keeps what is known of its servers', async () => {
  const gone = await serveLocally(async () => {})
  await gone.close()
  const set = createUpstreamSet(config => createUpstream(config))
  const [same, changed] = [configOf(gone.url), configOf(gone.url, { name: 'b' })]
  const before = set.use([same, changed])
  for (const upstream of before.byName.values()) {
    for (let count = 0; count < 3; count++) await send(upstream, requestTo('/'))
    expect(upstream.condition().kind).toBe('unavailable')
  }
  const after = set.use([same, { ...changed, maxQueue: 1 }])
  await before.release()
  expect([...after.byName.values()].map(one => one.condition().kind)).toEqual([
    'unavailable',
    'ready',
  ])
  await after.release()
})
