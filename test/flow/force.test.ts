import { expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { openForce } from '../../src/flow/force.ts'
import { accepted, HEAD } from '../config/support.ts'

const config = (facilitator: string, price: string) =>
  accepted(
    `${HEAD.replace(/facilitators:.*\n/, '')}
facilitators: ["https://${facilitator}.example"]
routes: {/a: ${price}}`,
  )

test('facilitators stay open until every generation that uses them has retired, in any order', async () => {
  const closed: string[] = []
  const force = await openForce(config('one', '$0.001'), {
    clock: () => unixMs(0),
    access: { compile: () => new Map() },
    upstreams: {
      use: configs => ({
        byName: new Map(configs.map(({ name }) => [name, upstreamCalled(name)])),
        release: async () => {},
      }),
    },
    openPayments: ({ facilitators: [first] }) => ({
      engine: () => ({ bind: () => null }) as never, // nothing is paid here
      facilitators: [],
      silent: () => [],
      firstRound: Promise.resolve(),
      close: async () => void closed.push(first?.name ?? ''),
    }),
  })
  const slow = force.enter()
  // The price alone: the facilitators are shared with the slow request's generation.
  await force.apply(config('one', '$0.002'))
  // Nobody runs under the second generation, which retires at once, before the first.
  await force.apply(config('two', '$0.002'))
  expect(closed).toEqual([])
  slow.leave()
  await expect.poll(() => closed).toEqual(['one.example'])
  await force.close()
  expect(closed).toEqual(['one.example', 'two.example'])
})

function upstreamCalled(name: string) {
  return {
    name,
    targets: [],
    condition: () => ({ kind: 'ready' as const }),
    send: async () => ({ kind: 'aborted' }) as const,
    upgrade: async () => ({ kind: 'aborted' }) as const,
    close: async () => {},
  }
}
