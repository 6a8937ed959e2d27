// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface IToken {
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

interface IPermitToken {
    function permit(
        address owner,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;
}

struct TokenPermissions {
    address token;
    uint256 amount;
}

struct Permit {
    TokenPermissions permitted;
    uint256 nonce;
    uint256 deadline;
}

struct Details {
    address to;
    uint256 requestedAmount;
}

struct Witness {
    address to;
    uint256 validAfter;
}

struct Permit2612 {
    uint256 value;
    uint256 deadline;
    bytes32 r;
    bytes32 s;
    uint8 v;
}

/// As much of Permit2 as x402 uses: one signed transfer with a witness, and its nonces.
contract TestPermit2 {
    bytes32 private constant DOMAIN = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMISSIONS = keccak256("TokenPermissions(address token,uint256 amount)");
    string private constant STUB =
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";

    mapping(address => mapping(uint256 => uint256)) public nonceBitmap;

    error SignatureExpired(uint256 deadline);
    error InvalidAmount(uint256 most);
    error InvalidNonce();
    error InvalidSigner();

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, keccak256("Permit2"), block.chainid, address(this)));
    }

    function permitWitnessTransferFrom(
        Permit calldata permit,
        Details calldata details,
        address owner,
        bytes32 witness,
        string calldata witnessType,
        bytes calldata signature
    ) external {
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        if (details.requestedAmount > permit.permitted.amount) revert InvalidAmount(permit.permitted.amount);
        uint256 bit = 1 << (permit.nonce & 0xff);
        if (nonceBitmap[owner][permit.nonce >> 8] & bit != 0) revert InvalidNonce();
        nonceBitmap[owner][permit.nonce >> 8] |= bit;
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), hashOf(permit, witness, witnessType)));
        if (signature.length != 65) revert InvalidSigner();
        address signer =
            ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
        if (signer == address(0) || signer != owner) revert InvalidSigner();
        IToken(permit.permitted.token).transferFrom(owner, details.to, details.requestedAmount);
    }

    function hashOf(Permit calldata permit, bytes32 witness, string calldata witnessType)
        private
        view
        returns (bytes32)
    {
        bytes32 permitted = keccak256(abi.encode(PERMISSIONS, permit.permitted.token, permit.permitted.amount));
        bytes32 typeHash = keccak256(abi.encodePacked(STUB, witnessType));
        return keccak256(abi.encode(typeHash, permitted, msg.sender, permit.nonce, permit.deadline, witness));
    }
}

/// x402's proxy: it can pay nobody but the witness's receiver, and no other amount.
contract TestExactProxy {
    TestPermit2 public constant PERMIT2 = TestPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);
    bytes32 private constant WITNESS = keccak256("Witness(address to,uint256 validAfter)");

    error PaymentTooEarly();

    error Permit2612AmountMismatch();

    /// EIP-2612 first: the payer has no gas to approve Permit2 with.
    function settleWithPermit(
        Permit2612 calldata approval,
        Permit calldata permit,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external {
        if (approval.value != permit.permitted.amount) revert Permit2612AmountMismatch();
        IPermitToken(permit.permitted.token).permit(
            owner, address(PERMIT2), approval.value, approval.deadline, approval.v, approval.r, approval.s
        );
        settle(permit, owner, witness, signature);
    }

    function settle(Permit calldata permit, address owner, Witness calldata witness, bytes calldata signature)
        public
    {
        if (block.timestamp < witness.validAfter) revert PaymentTooEarly();
        PERMIT2.permitWitnessTransferFrom(
            permit,
            Details(witness.to, permit.permitted.amount),
            owner,
            keccak256(abi.encode(WITNESS, witness.to, witness.validAfter)),
            "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)",
            signature
        );
    }
}
