import { encodeFunctionData, parseAbi } from 'viem'
import { type Ask, describeFailure } from '../../networks/evm-rpc.ts'
import { EXACT_PROXY, PERMIT2 } from '../../networks/permit2-proof.ts'
import { callContract, codeAt, wordOf } from './contract-reads.ts'
import { type Finding, type FindingsAt, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'
import { firstAnswering } from './nodes.ts'
import { oncePer, type PlacedOffer } from './placed-offers.ts'
import { checkDomain } from './token-domain.ts'

const ABI = parseAbi([
  'function decimals() view returns (uint8)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
])

/** Whether the contract of each token is what the file says of it: else every signature fails. */
export async function askTokens({ offers, reportNodes }: Inquiry): Promise<Finding[]> {
  // Circle's wallet is signed for instead of the token: the token's domain plays no part.
  const onChain = offers.filter(({ offer }) => offer.transferMethod !== 'gateway-wallet')
  const tokens = oncePer(onChain, ({ offer, network }) => [
    ...[network.id, offer.requirements.asset, offer.transferMethod],
  ])
  const found = await Promise.all(
    tokens.map(async token => {
      const node = await firstAnswering(token.network, reportNodes)
      const at = findingsAt('token', token.tokenPath)
      if (node === null) return noNode(token, at)
      return judgeToken(token, node.ask, at).catch(error => [
        at.warning(
          `${describe(token)}: the node did not answer to the end: ${describeFailure(error)}`,
          'Run the check again, or name another node first.',
        ),
      ])
    }),
  )
  return found.flat()
}

function noNode(token: PlacedOffer, at: FindingsAt): Finding[] {
  // Where no node is configured, that is said once for the network.
  if (token.network.rpc.length === 0) return []
  const message = `${describe(token)} and who receives it: no node of the network answers`
  return [at.notChecked(message, 'See what is said of its nodes.')]
}

async function judgeToken(token: PlacedOffer, ask: Ask, at: FindingsAt): Promise<Finding[]> {
  const { network, offer } = token
  const { asset } = offer.requirements
  if ((await codeAt(ask, asset)) === '0x') {
    return [
      at.problem(
        `there is no contract at ${asset} on ${network.name}`,
        'Check the address, and that it is of this network.',
      ),
    ]
  }
  const byPermit2 = offer.transferMethod === 'permit2'
  const judged = await Promise.all([
    judgeDecimals(token, ask, at),
    byPermit2 ? judgePermit2(token, ask, at) : judgeEip3009(token, ask, at),
  ])
  const bad = judged.flat()
  if (bad.length > 0) return bad
  const { name, version } = offer.requirements.extra
  const how = byPermit2
    ? 'Permit2 and its x402 proxy are there'
    : `EIP-3009 with signing domain ${JSON.stringify(name)} version ${JSON.stringify(version)}`
  return [at.ok(`${describe(token)} is as the contract has it: ${offer.decimals} decimals, ${how}`)]
}

async function judgeDecimals(token: PlacedOffer, ask: Ask, at: FindingsAt): Promise<Finding[]> {
  const { asset } = token.offer.requirements
  const data = encodeFunctionData({ abi: ABI, functionName: 'decimals' })
  const decimals = wordOf(await callContract(ask, { to: asset, data }))
  if (decimals === BigInt(token.offer.decimals)) return []
  const what = describe(token)
  if (decimals === null) {
    const cure = 'Check the address: every ERC-20 token that can be priced has it.'
    return [at.problem(`${what}: the contract has no decimals()`, cure)]
  }
  const message = `${what} has ${decimals} decimals, and the file says ${token.offer.decimals}`
  return [
    at.problem(
      message,
      `Every price is wrong: write decimals: ${decimals} under networks.${token.network.name}.assets.`,
    ),
  ]
}

/** No account of anybody: a question about it tells nobody anything. */
const NOBODY = '0x1111111111111111111111111111111111111111'

async function judgeEip3009(token: PlacedOffer, ask: Ask, at: FindingsAt): Promise<Finding[]> {
  const { asset, extra } = token.offer.requirements
  const { name, version } = extra
  const data = encodeFunctionData({
    abi: ABI,
    functionName: 'authorizationState',
    args: [NOBODY, `0x${'0'.repeat(64)}`],
  })
  const [state, domain] = await Promise.all([
    callContract(ask, { to: asset, data }).then(wordOf),
    checkDomain(ask, {
      name: String(name),
      version: String(version),
      chainId: BigInt(token.network.id.slice('eip155:'.length)),
      verifyingContract: asset,
    }),
  ])
  const findings: Finding[] = []
  if (state === null || state > 1n) {
    const cure = 'Set transferMethod: permit2 for this token, or accept another one.'
    const message = `${describe(token)} has no authorizationState(): it does not know EIP-3009`
    findings.push(at.problem(message, cure))
  }
  if (domain.kind === 'untold') {
    const message = `${describe(token)} does not tell its signing domain, so it was not compared`
    findings.push(at.warning(message, 'Pay once with a small amount before you rely on it.'))
  }
  if (domain.kind === 'different') {
    const ours = `name ${JSON.stringify(name)}, version ${JSON.stringify(version)}`
    const theirs = domain.told === null ? '' : `; the contract says ${domain.told}`
    findings.push(
      at.problem(
        `${describe(token)} has another signing domain than the file (${ours})${theirs}`,
        `Every signature fails: write its eip712 under networks.${token.network.name}.assets.`,
      ),
    )
  }
  return findings
}

async function judgePermit2(token: PlacedOffer, ask: Ask, at: FindingsAt): Promise<Finding[]> {
  const chainId = BigInt(token.network.id.slice('eip155:'.length))
  const [permit2, proxy] = await Promise.all([codeAt(ask, PERMIT2), codeAt(ask, EXACT_PROXY)])
  const missing = [
    ...(permit2 === '0x' ? [`Permit2 (${PERMIT2})`] : []),
    ...(proxy === '0x' ? [`x402's proxy for it (${EXACT_PROXY})`] : []),
  ]
  if (missing.length > 0) {
    const message = `${token.network.name} has no ${missing.join(' and no ')}`
    const cure = 'Accept a token with EIP-3009, or another network.'
    return [at.problem(`${message}: no payment in ${describe(token)} can settle`, cure)]
  }
  const domain = { name: 'Permit2', version: null, chainId, verifyingContract: PERMIT2 }
  if ((await checkDomain(ask, domain)).kind === 'same') return []
  const message = `the contract at ${PERMIT2} on ${token.network.name} is not Permit2`
  return [at.problem(message, 'Accept a token with EIP-3009, or another network.')]
}

function describe({ offer, network }: PlacedOffer): string {
  return `${offer.symbol} on ${network.name}`
}
