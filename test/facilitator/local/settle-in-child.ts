/**
 * Settles one payment through a local facilitator, in a process that a test kills.
 *
 * Usage: node settle-in-child.ts '{"config": …, "network": …, "payload": …, "requirements": …}'
 */
import { createOpenLocal } from '../../../src/facilitator/local/open-local.ts'
import { openChains } from '../../../src/networks/chains.ts'

const { config, network, payload, requirements } = JSON.parse(
  process.argv[2] ?? '',
  (key, value) => (key === 'gasMax' || key === 'feeCap' ? BigInt(value) : value),
)
const openLocal = createOpenLocal({
  chains: openChains(),
  observer: {
    gasBalanceRead: () => {},
    gasSpent: () => {},
    errorReported: ({ error }) => process.emitWarning(String(error)),
  },
})
await openLocal(config, [network]).settle(payload, requirements)
