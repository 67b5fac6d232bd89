# SPDX-License-Identifier: MIT
# A package is built, installed, upgraded, asked about, removed.
build() {
    mkdir -p p/DEBIAN p/opt/hello; echo "version $1" >p/opt/hello/text; printf '#!/bin/sh\ncat /opt/hello/text\n' >p/opt/hello/say; chmod 755 p/opt/hello/say
    printf 'Package: vellum-hello\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: says a word\n' "$1" >p/DEBIAN/control
    printf '#!/bin/sh\necho "postinst $*"\n' >p/DEBIAN/postinst; printf '#!/bin/sh\necho "prerm $*"\n' >p/DEBIAN/prerm; chmod 755 p/DEBIAN/postinst p/DEBIAN/prerm
    dpkg-deb --root-owner-group -b p hello_$1.deb
}
build 1.0; build 2.0; dpkg-deb -I hello_1.0.deb | grep -E 'Package|Version'; dpkg-deb -c hello_1.0.deb | awk '{print $1, $2, $6}'
dpkg -i hello_1.0.deb 2>&1 | grep -v 'Reading database'; /opt/hello/say; dpkg -s vellum-hello | grep -E 'Status|Version'; dpkg -L vellum-hello; dpkg -S /opt/hello/say
dpkg -i hello_2.0.deb 2>&1 | grep -v 'Reading database'; /opt/hello/say; dpkg --verify vellum-hello; echo change >>/opt/hello/text; dpkg --verify vellum-hello; dpkg -l vellum-hello | tail -1 | awk '{print $1, $2, $3}'
dpkg -r vellum-hello 2>&1 | grep -v -e 'Reading database' -e 'not empty'; dpkg -P vellum-hello 2>&1 | grep -v 'Reading database'; ls -d /opt/hello 2>&1; dpkg --compare-versions 1.0~rc1 lt 1.0 && echo less
