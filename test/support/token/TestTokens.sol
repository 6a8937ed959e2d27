// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {TestDollar} from "./TestDollar.sol";

/// Stands in for pieUSD of Kite's test network.
contract TestPie is TestDollar {
    function name() public pure override returns (string memory) {
        return "pieUSD";
    }

    function symbol() public pure override returns (string memory) {
        return "pieUSD";
    }

    function version() public pure override returns (string memory) {
        return "1";
    }

    function decimals() public pure override returns (uint8) {
        return 18;
    }
}

/// Stands in for mUSD of Mezo's test network: it has EIP-2612, and no EIP-3009.
contract TestPermitDollar is TestDollar {
    error NoAuthorizations();

    function name() public pure override returns (string memory) {
        return "Mezo USD";
    }

    function symbol() public pure override returns (string memory) {
        return "mUSD";
    }

    function version() public pure override returns (string memory) {
        return "1";
    }

    function decimals() public pure override returns (uint8) {
        return 18;
    }

    function spendAuthorization(address, bytes32, bytes32, bytes memory) internal view override {
        if (block.chainid != 0) revert NoAuthorizations();
    }
}
