/* A TLS server and client on Java's own TLS (JSSE), run from source: java Peer.java ...
 *
 *   server PORT KEYSTORE none|request       until it is killed
 *   client PORT KEYSTORE|none DIR VERSION:SUITE ...
 *       one connection each; DIR/N.in and DIR/N.out get what was sent and received.
 *       VERSION may be several, joined by "+": SSLv2Hello+SSLv3 sends a hello of that form
 *
 * The client sends three bytes of length and so many bytes; the server sends them back,
 * each XOR 0x5a, and closes. -Dpeer.size=N sends N bytes, -Dpeer.pieces=N in so many
 * writes. -Djdk.tls.useExtendedMasterSecret=false turns EMS off; JSSE
 * has no encrypt-then-MAC. */
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.util.*;
import javax.net.ssl.*;

public class Peer {
	static SSLContext context(String store) throws Exception {
		KeyManager[] keys = null;
		if (!store.equals("none")) {
			char[] pass = "changeit".toCharArray();
			KeyStore ks = KeyStore.getInstance("PKCS12");
			try (InputStream in = new FileInputStream(store)) {
				ks.load(in, pass);
			}
			KeyManagerFactory f = KeyManagerFactory.getInstance("SunX509");
			f.init(ks, pass);
			keys = f.getKeyManagers();
			for (int i = 0; i < keys.length; i++)
				keys[i] = new Always((X509KeyManager) keys[i]);
		}
		TrustManager[] all = { new X509ExtendedTrustManager() {
			public void checkClientTrusted(X509Certificate[] c, String a) {}
			public void checkServerTrusted(X509Certificate[] c, String a) {}
			public void checkClientTrusted(X509Certificate[] c, String a, java.net.Socket s) {}
			public void checkServerTrusted(X509Certificate[] c, String a, java.net.Socket s) {}
			public void checkClientTrusted(X509Certificate[] c, String a, SSLEngine e) {}
			public void checkServerTrusted(X509Certificate[] c, String a, SSLEngine e) {}
			public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
		} };
		SSLContext c = SSLContext.getInstance("TLS");
		c.init(keys, all, new SecureRandom());
		return c;
	}

	/* Sends its certificate whatever issuers and algorithms the server names. */
	static class Always extends X509ExtendedKeyManager {
		final X509KeyManager in;
		final String alias;
		Always(X509KeyManager in) {
			this.in = in;
			String[] a = in.getServerAliases("RSA", null);
			for (String t : new String[] { "EC", "EC_EC", "EC_RSA" })
				a = a == null ? in.getServerAliases(t, null) : a;
			alias = a == null ? null : a[0];
		}
		public String[] getClientAliases(String t, Principal[] i) { return new String[] { alias }; }
		public String chooseClientAlias(String[] t, Principal[] i, java.net.Socket s) { return alias; }
		public String chooseEngineClientAlias(String[] t, Principal[] i, SSLEngine e) { return alias; }
		public String[] getServerAliases(String t, Principal[] i) { return new String[] { alias }; }
		public String chooseServerAlias(String t, Principal[] i, java.net.Socket s) { return alias; }
		public String chooseEngineServerAlias(String t, Principal[] i, SSLEngine e) { return alias; }
		public X509Certificate[] getCertificateChain(String a) { return in.getCertificateChain(alias); }
		public PrivateKey getPrivateKey(String a) { return in.getPrivateKey(alias); }
	}

	static void serve(SSLSocket s) {
		try (s) {
			DataInputStream in = new DataInputStream(new BufferedInputStream(s.getInputStream()));
			int n = in.readUnsignedByte() << 16 | in.readUnsignedByte() << 8 | in.readUnsignedByte();
			byte[] b = in.readNBytes(n);
			for (int i = 0; i < b.length; i++)
				b[i] ^= 0x5a;
			s.getOutputStream().write(b);
			s.getOutputStream().flush();
		} catch (IOException e) {
			System.err.println(e);
		}
	}

	public static void main(String[] a) throws Exception {
		Security.setProperty("jdk.tls.disabledAlgorithms", "");
		Security.setProperty("jdk.tls.legacyAlgorithms", "");
		Security.setProperty("jdk.certpath.disabledAlgorithms", "");
		int port = Integer.parseInt(a[1]);
		if (a[0].equals("server")) {
			SSLServerSocket ss = (SSLServerSocket) context(a[2]).getServerSocketFactory().createServerSocket(port, 64);
			ss.setEnabledProtocols(new String[] { "SSLv2Hello", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2" });
			List<String> rsa = new ArrayList<>();
			for (String s : ss.getSupportedCipherSuites())
				if (s.startsWith("TLS_RSA_") || s.startsWith("SSL_RSA_") || s.startsWith("TLS_ECDH_"))
					rsa.add(s);
			ss.setEnabledCipherSuites(rsa.toArray(new String[0]));
			if (a[3].equals("request"))
				ss.setWantClientAuth(true);
			for (;;) {
				SSLSocket s = (SSLSocket) ss.accept();
				new Thread(() -> serve(s)).start();
			}
		}
		Random random = new Random();
		for (int i = 4; i < a.length; i++) {
			String[] what = a[i].split(":");
			byte[] body = new byte[Integer.getInteger("peer.size", 400)];
			random.nextBytes(body);
			byte[] sent = new byte[body.length + 3];
			sent[0] = (byte) (body.length >> 16);
			sent[1] = (byte) (body.length >> 8);
			sent[2] = (byte) body.length;
			System.arraycopy(body, 0, sent, 3, body.length);
			/* A context each: no session is resumed. */
			try (SSLSocket s = (SSLSocket) context(a[2]).getSocketFactory().createSocket("127.0.0.1", port)) {
				s.setEnabledProtocols(what[0].split("\\+"));
				s.setEnabledCipherSuites(new String[] { what[1] });
				int pieces = Integer.getInteger("peer.pieces", 1);
				for (int k = 0, at = 0; k < pieces; k++) {
					int end = sent.length * (k + 1) / pieces;
					s.getOutputStream().write(sent, at, end - at);
					s.getOutputStream().flush();
					at = end;
					if (pieces > 1)
						Thread.sleep(80);
				}
				byte[] got = s.getInputStream().readAllBytes();
				Files.write(Path.of(a[3], (i - 4) + ".in"), sent);
				Files.write(Path.of(a[3], (i - 4) + ".out"), got);
			}
		}
	}
}
