import type { Asset, EvmAsset, NetworkFamily, SolanaAsset } from '../networks/registry.ts'
import { TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from '../x402/solana-address.ts'
import { readEvmAddress } from './check-address.ts'
import type { Finding, Path } from './problems.ts'
import type { AssetSetting } from './schema-networks.ts'

/** Told of what is wrong, with its place from the network on. */
export type ReportFinding = (path: Path, finding: Finding) => void

interface AssetScope {
  readonly path: Path
  readonly report: ReportFinding
}

/** Of no use where a finding was reported. */
export function readEvmAsset(setting: AssetSetting, { path, report }: AssetScope): EvmAsset {
  const { program, eip712, transferMethod = 'eip3009' } = setting
  const read = readEvmAddress(setting.address)
  if (read.kind === 'refused') report([...path, 'address'], read)
  if (eip712 === undefined && transferMethod === 'eip3009') {
    const cure =
      'Add eip712: {name: …, version: …} as the contract has them, or transferMethod: permit2.'
    report(path, { message: 'lacks eip712, the signing domain of an EVM token', cure })
  }
  if (program !== undefined) report([...path, 'program'], notHere('Solana'))
  return {
    ...factsOf(setting),
    address: read.kind === 'address' ? read.address : '',
    eip712: eip712 ?? null,
    transferMethod,
  }
}

/** Of no use where a finding was reported. */
export function readSolanaAsset(setting: AssetSetting, scope: AssetScope): SolanaAsset {
  const { path, report } = scope
  const { program = '' } = setting
  const cure =
    'Add program: and the address of Token or Token-2022, as config/networks.yaml has it.'
  if (setting.program === undefined) {
    report(path, { message: 'lacks program, the token program of a Solana mint', cure })
  } else if (program !== TOKEN_PROGRAM && program !== TOKEN_2022_PROGRAM) {
    report([...path, 'program'], { message: 'is neither Token nor Token-2022', cure })
  }
  const transferMethod = program === TOKEN_2022_PROGRAM ? 'spl-token-2022' : 'spl-token'
  return { ...readOtherAsset(setting, 'solana', scope), program, transferMethod }
}

/** Of no use where a finding was reported. */
export function readOtherAsset(
  setting: AssetSetting,
  family: Exclude<NetworkFamily, 'evm'>,
  { path, report }: AssetScope,
): Asset {
  checkAddress(setting.address, family, { path: [...path, 'address'], report })
  for (const member of ['eip712', 'transferMethod'] as const) {
    if (setting[member] !== undefined) report([...path, member], notHere('EVM'))
  }
  if (family !== 'solana' && setting.program !== undefined) {
    report([...path, 'program'], notHere('Solana'))
  }
  return factsOf(setting)
}

function factsOf({ symbol, address, decimals, dollarPegged = false }: AssetSetting): Asset {
  return { symbol, address, decimals, dollarPegged }
}

function notHere(family: string): Finding {
  return { message: `is only for tokens on ${family} networks`, cure: 'Remove it.' }
}

/** How each kind of network writes the address of a token. */
const ADDRESS_FORMS: Readonly<
  Record<Exclude<NetworkFamily, 'evm'>, { readonly form: RegExp; readonly cure: string }>
> = {
  solana: {
    form: /^[1-9A-HJ-NP-Za-km-z]{32,44}$/,
    cure: 'Write the address in base58: 32 to 44 letters and digits.',
  },
  algorand: { form: /^[1-9]\d{0,19}$/, cure: 'Write the number of the asset.' },
  stellar: { form: /^C[A-Z2-7]{55}$/, cure: 'Write C and 55 capital letters and digits.' },
  aptos: { form: /^0x[0-9a-f]{64}$/, cure: 'Write 0x and 64 hex digits, in lower case.' },
}

function checkAddress(
  address: string,
  family: Exclude<NetworkFamily, 'evm'>,
  { path, report }: AssetScope,
): void {
  const { form, cure } = ADDRESS_FORMS[family]
  if (!form.test(address)) report(path, { message: `is not an address on ${family}`, cure })
}
