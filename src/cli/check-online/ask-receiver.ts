import { encodeFunctionData, parseAbi } from 'viem'
import { type Ask, describeFailure } from '../../networks/evm-rpc.ts'
import { callContract, codeAt, wordOf } from './contract-reads.ts'
import { type Finding, type FindingsAt, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'
import { firstAnswering } from './nodes.ts'
import { oncePer, type PlacedOffer, sameAddress } from './placed-offers.ts'

/** ERC-20, and what USDC and its like add. */
const ABI = parseAbi([
  'function transfer(address to, uint256 value) returns (bool)',
  'function isBlacklisted(address account) view returns (bool)',
])

/** Whether who is paid can receive, and later move, each token. */
export async function askReceivers({ offers, reportNodes }: Inquiry): Promise<Finding[]> {
  const receivers = oncePer(offers, ({ offer, network }) => [
    ...[network.id, offer.requirements.asset, offer.requirements.payTo],
  ])
  const found = await Promise.all(
    receivers.map(async placed => {
      const { payTo, asset } = placed.offer.requirements
      const at = findingsAt('payTo', placed.payToPath)
      if (sameAddress(payTo, asset)) return [itself(placed, at)]
      const node = await firstAnswering(placed.network, reportNodes)
      if (node === null) return []
      return judgeReceiver(placed, node.ask, at).catch(error => [
        at.warning(
          `${payTo}: the node did not answer to the end: ${describeFailure(error)}`,
          'Run the check again, or name another node first.',
        ),
      ])
    }),
  )
  return found.flat()
}

function itself({ offer }: PlacedOffer, at: FindingsAt): Finding {
  return at.problem(
    `payTo is the contract of ${offer.symbol} itself: what is paid to it is lost`,
    'Write an address of your own.',
  )
}

async function judgeReceiver(placed: PlacedOffer, ask: Ask, at: FindingsAt): Promise<Finding[]> {
  const { offer, network } = placed
  const { payTo, asset } = offer.requirements
  const what = `${payTo} on ${network.name}`
  const [code, blacklisted, transfer] = await Promise.all([
    codeAt(ask, payTo),
    isBlacklisted(ask, asset, payTo),
    tryTransfer(ask, asset, payTo),
  ])
  const findings: Finding[] = []
  if (blacklisted === true) {
    const cure = `Write another address: this one can receive no ${offer.symbol}, nor move it.`
    findings.push(at.problem(`${what} is blacklisted by ${offer.symbol}`, cure))
  } else if (transfer === 'refused') {
    const message = `${offer.symbol} refuses a transfer to ${what}, though not to others`
    findings.push(at.problem(message, 'Write another address.'))
  }
  if (code !== '0x' && !isDelegated(code)) {
    const message = `${what} is a contract, which must be able to move ${offer.symbol} on`
    const cure = 'Make sure that it is your wallet on this very network, and that it can send.'
    findings.push(at.warning(message, cure))
  }
  if (findings.length > 0) return findings
  const kind = code === '0x' ? 'an ordinary account' : 'an ordinary account with EIP-7702 code'
  const list = blacklisted === null ? '' : ', not blacklisted'
  const tried = transfer === 'taken' ? '; a transfer of nothing to it goes through' : ''
  return [at.ok(`${what} can receive ${offer.symbol}: ${kind}${list}${tried}`)]
}

/** EIP-7702: the account's own key still moves its money. */
function isDelegated(code: string): boolean {
  return code.length === 48 && code.startsWith('0xef0100')
}

/** Null: the token does not tell. */
async function isBlacklisted(ask: Ask, token: string, account: string): Promise<boolean | null> {
  const args = [hex(account)] as const
  const data = encodeFunctionData({ abi: ABI, functionName: 'isBlacklisted', args })
  const answer = wordOf(await callContract(ask, { to: token, data }))
  return answer === null || answer > 1n ? null : answer === 1n
}

/** Accounts of nobody: one sends nothing, the other stands for every receiver. */
const SENDER = '0x1111111111111111111111111111111111111111'
const ANYBODY = '0x2222222222222222222222222222222222222222'

/**
 * Lets the chain try a transfer of nothing, which takes no money and no signature. A token that
 * refuses it to anybody else as well tells nothing of the receiver.
 */
async function tryTransfer(
  ask: Ask,
  token: string,
  payTo: string,
): Promise<'taken' | 'refused' | 'untold'> {
  const [toReceiver, toAnybody] = await Promise.all(
    [payTo, ANYBODY].map(to => {
      const args = [hex(to), 0n] as const
      const data = encodeFunctionData({ abi: ABI, functionName: 'transfer', args })
      return callContract(ask, { from: SENDER, to: token, data })
    }),
  )
  const taken = (answer: typeof toReceiver): boolean =>
    // Old tokens return nothing; the others must say true.
    answer?.kind === 'returned' && (answer.data === '0x' || wordOf(answer) === 1n)
  if (taken(toReceiver)) return 'taken'
  return taken(toAnybody) ? 'refused' : 'untold'
}

function hex(address: string): `0x${string}` {
  return address as `0x${string}` // checked when the file was
}
